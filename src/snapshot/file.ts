import { existsSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import type { Catalog, TableName, Workload } from "../domain/index.ts";
import { failure } from "../errors.ts";
import { decodePlan } from "../plan/index.ts";
import { type PlanAnswer, rawPlan } from "./plans.ts";

/** Everything that advising asks of a target, as it was answered at one time. */
export interface Snapshot {
  readonly takenAt: Date;
  /** Whether values were left out. */
  readonly redacted: boolean;
  /** The observing role, as whom everything was asked. */
  readonly role: string;
  readonly catalog: Catalog;
  readonly workload: Workload;
  /** What the observing role could not see, and what would let it. */
  readonly blindSpots: readonly {
    readonly code: "not_readable" | "row_level_security";
    readonly tables: readonly string[];
    readonly problem: string;
    readonly remedy: string;
  }[];
  /** The ends of columns whose statistics do not tell them. Real values. */
  readonly endPoints: readonly {
    readonly table: TableName;
    readonly column: string;
    readonly lowest: string;
    readonly highest: string;
  }[];
  /** The target's own plans, by `planKey` of the question. */
  readonly plans: ReadonlyMap<string, PlanAnswer>;
}

const FORMAT = "indexpilot snapshot";
/** Counts up with every change that an older reader would misunderstand. */
const FORMAT_VERSION = 1;

const refuseToReplace = (file: string): Error =>
  failure("usage", { problem: `${file} exists already`, hint: "give another name, or --force to replace it" });

/** Refuses before the target is asked for anything. @throws IndexPilotError `usage` where the file exists and may not be replaced */
export const requireNewFile = (file: string, force: boolean): void => {
  if (!force && existsSync(file)) throw refuseToReplace(file);
};

const codeOf = (error: unknown): string => {
  const { code } = error as { code?: unknown };
  if (typeof code === "string" && /^E[A-Z]+$/.test(code)) return code;
  throw error;
};

/** Writes a new file that its owner alone may read (mode 0600). @throws IndexPilotError `usage`, `file_unusable` */
export const writeSnapshotFile = async (file: string, snapshot: Snapshot, force: boolean): Promise<void> => {
  const document = {
    format: FORMAT,
    formatVersion: FORMAT_VERSION,
    takenAt: snapshot.takenAt,
    redacted: snapshot.redacted,
    role: snapshot.role,
    catalog: snapshot.catalog,
    workload: snapshot.workload,
    blindSpots: snapshot.blindSpots,
    endPoints: snapshot.endPoints,
    plans: [...snapshot.plans].map(([question, answer]) =>
      answer.kind === "read" ? { question, plan: rawPlan(answer.value) } : { question, refused: answer.reason },
    ),
  };
  try {
    // A file that is replaced keeps its mode when it is written to; a new one gets ours.
    if (force) await rm(file, { force: true });
    await writeFile(file, `${JSON.stringify(document)}\n`, { flag: "wx", mode: 0o600 });
  } catch (error) {
    const code = codeOf(error);
    throw code === "EEXIST" ? refuseToReplace(file) : failure("file_unusable", { file, cause: code }, error);
  }
};

/** As written, before it is known to be ours. */
interface Document {
  readonly format?: unknown;
  readonly formatVersion?: unknown;
  readonly takenAt?: unknown;
  readonly redacted?: unknown;
  readonly role?: unknown;
  readonly catalog?: Catalog & { readonly tables?: unknown };
  readonly workload?: Omit<Workload, "observedFrom" | "observedTo"> & {
    readonly observedFrom: string | null;
    readonly observedTo: string | null;
  };
  readonly blindSpots?: Snapshot["blindSpots"];
  readonly endPoints?: Snapshot["endPoints"];
  readonly plans?: readonly { readonly question: string; readonly plan?: unknown; readonly refused?: string }[];
}

const parse = (text: string): Document | null => {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
};

const moment = (text: string | null): Date | null => (text === null ? null : new Date(text));

/** Reads what {@link writeSnapshotFile} wrote. @throws IndexPilotError `file_unusable`, `snapshot_unreadable`, `snapshot_newer` */
export const readSnapshotFile = async (file: string): Promise<Snapshot> => {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw failure("file_unusable", { file, cause: codeOf(error) }, error);
  }
  const document = parse(text);
  if (document?.format !== FORMAT) throw failure("snapshot_unreadable", { file });
  const { formatVersion, takenAt, role, catalog, workload, blindSpots, endPoints, plans } = document;
  if (typeof formatVersion === "number" && formatVersion > FORMAT_VERSION) {
    throw failure("snapshot_newer", { file, version: formatVersion });
  }
  if (
    formatVersion !== FORMAT_VERSION ||
    typeof takenAt !== "string" ||
    typeof role !== "string" ||
    !Array.isArray(catalog?.tables) ||
    !Array.isArray(workload?.statements) ||
    !Array.isArray(blindSpots) ||
    !Array.isArray(endPoints) ||
    !Array.isArray(plans)
  ) {
    throw failure("snapshot_unreadable", { file });
  }
  return {
    takenAt: new Date(takenAt),
    redacted: document.redacted === true,
    role,
    catalog,
    workload: {
      ...workload,
      observedFrom: moment(workload.observedFrom),
      observedTo: moment(workload.observedTo),
    },
    blindSpots,
    endPoints,
    plans: new Map(
      plans.map(({ question, plan, refused }): [string, PlanAnswer] => [
        question,
        refused === undefined ? { kind: "read", value: decodePlan(plan) } : { kind: "refused", reason: refused },
      ]),
    ),
  };
};
