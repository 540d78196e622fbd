import {
  type Catalog,
  type DeclinedCandidate,
  type ProposedDrop,
  type TableAccess,
  tableId,
  type TableName,
} from "../domain/index.ts";
import { ExitCode, failure, IndexPilotError } from "../errors.ts";
import { foreignKeyServedBy, isScanned, PRIMARY, readScanCounts, type ScanCounts } from "../maintenance/index.ts";
import { quoteName, readManagedBy, type Session } from "../postgres/index.ts";
import { findStanding, objectionToDrop, type StandingIndex } from "../rollout/index.ts";
import { readReplicationLag } from "../safeguards/index.ts";
import { selectConfiguration } from "../selection/index.ts";
import { createCostModel } from "../whatif/index.ts";
import { openPlanner } from "./advise.ts";
import { readSubject, type Subject } from "./analysis.ts";
import { readScans } from "./replicas.ts";
import { liveTarget, type TargetSource, unprobed } from "./source.ts";
import { type PilotContext, readStore } from "./target.ts";
import { workloadOfTraffic } from "./workload.ts";

/** What speaks for and against dropping an index, anybody's. */
export interface DropInquiry {
  readonly standing: StandingIndex;
  /** Null: it may be dropped. */
  readonly objection: { readonly code: string; readonly reason: string } | null;
  /** Statements on its table that were planned without it; null where that was not asked any more. */
  readonly planned: number | null;
  /** `Statement.id` of those that use its table: what a trial looks at. */
  readonly statementIds: readonly string[];
  /** Of those, what writes it; and statements on none of its table, which show the drift. */
  readonly writeIds: readonly string[];
  readonly controlIds: readonly string[];
  /** Statements that could not be read, and why. */
  readonly unread: readonly string[];
}

/** The one index of this name, anybody's. @throws IndexPilotError `usage` where there is none, or several */
export const onlyStanding = async (session: Session, name: string): Promise<StandingIndex> => {
  const [standing, second] = await findStanding(session, name);
  if (standing === undefined) {
    throw failure("usage", {
      problem: `there is no index named ${name}`,
      hint: "write it as the catalogue does, with its schema where needed",
    });
  }
  if (second === undefined) return standing;
  throw failure("usage", {
    problem: `several schemas have an index named ${name}`,
    hint: `write ${standing.schema}.${standing.name} or ${second.schema}.${second.name}`,
  });
};

interface InquiryOptions {
  readonly observeMs: number | null;
  readonly seed: number;
}

/** Of one index; see {@link inquireDrops}. @throws IndexPilotError as that, and as {@link onlyStanding} */
export const inquireDrop = async (
  context: PilotContext,
  session: Session,
  replicas: readonly Session[],
  { index, ...options }: InquiryOptions & { readonly index: string },
): Promise<DropInquiry> => {
  const standing = await onlyStanding(session, index);
  const [inquiry] = await inquireDrops(context, session, replicas, [standing], options);
  if (inquiry === undefined) throw new Error("an inquiry was forgotten");
  return inquiry;
};

const notAsked = { planned: null, statementIds: [], writeIds: [], controlIds: [], unread: [] } as const;

/**
 * Asks everything that can be said against dropping indexes, all of them together: what each stands for, who else uses it, which foreign key would lose its index, and
 * what the planner would do without them with each statement of the workload, the last per cent of the time included. Reads only.
 * @returns one answer for each, in their order; where nothing objects to all of those, nothing objects to some of them
 * @throws IndexPilotError `workload_empty`: without a workload nothing is known about who needs them
 */
export const inquireDrops = async (
  context: PilotContext,
  session: Session,
  replicas: readonly Session[],
  standings: readonly StandingIndex[],
  { observeMs, seed }: InquiryOptions,
): Promise<readonly DropInquiry[]> => {
  const early = new Map<number, DropInquiry>();
  for (const standing of standings) {
    const objection = objectionToDrop(standing) ?? (await objectionOfOthers(session, replicas, standing));
    if (objection !== null) early.set(standing.oid, { standing, objection, ...notAsked });
  }
  const open = standings.filter(({ oid }) => !early.has(oid));
  const late = open.length === 0 ? [] : await planWithout(context, session, replicas, open, { observeMs, seed });
  const answers = new Map([...early, ...late.map((one) => [one.standing.oid, one] as const)]);
  return standings.flatMap(({ oid }) => answers.get(oid) ?? []);
};

/** What the workload says about dropping them. */
const planWithout = async (
  context: PilotContext,
  session: Session,
  replicas: readonly Session[],
  standings: readonly StandingIndex[],
  { observeMs, seed }: InquiryOptions,
): Promise<readonly DropInquiry[]> => {
  // Before we ask anything that may scan one.
  const ownScans = await readStore(context, (store) => store.scans.read());
  const counts = await readScanCounts(session, PRIMARY, ownScans ?? new Map());
  const traffic = workloadOfTraffic(context, session, { observeMs, seed, replicas, everything: true });
  const source = unprobed(liveTarget(session, traffic, replicas));
  const subject = await readSubject(source, context.emit, context.signal);
  const { catalog, planned } = subject;
  const known = new Map(planned.tables.flatMap(({ indexes }) => indexes).map((index) => [index.oid, index]));
  const inquiries = standings.map((standing) => ({ standing, ...usesOf(subject, standing.table) }));
  const drops = standings.flatMap(({ oid, table }): ProposedDrop[] => {
    const index = known.get(oid);
    // Otherwise its table is used by no statement of the workload.
    return index === undefined ? [] : [{ index, table, code: "asked_for", reason: "somebody asked for it" }];
  });
  const answered =
    drops.length === 0
      ? { objections: new Map<number, Objected>(), planned: new Set<string>() }
      : await askPlanner(context, source, subject, drops, inquiries);
  const now = context.clock.now();
  const gone = new Set<number>();
  return inquiries.map((inquiry): DropInquiry => {
    const { standing } = inquiry;
    const objection =
      answered.objections.get(standing.oid) ??
      unserved(catalog, standing, gone, now) ??
      unexplained(subject, standing, counts, now);
    if (objection === null) gone.add(standing.oid);
    const { planned: all } = answered;
    return {
      ...inquiry,
      objection,
      planned: all === null ? null : inquiry.statementIds.filter((id) => all.has(id)).length,
    };
  });
};

/** Whether an inquiry could not be made at all, now or ever: no workload, no planner. What passes by itself within seconds is thrown on. */
export const isUnanswerable = (error: unknown): error is IndexPilotError =>
  error instanceof IndexPilotError && !error.retryable && error.exitCode !== ExitCode.interrupted;

type Objected = NonNullable<DropInquiry["objection"]>;
type Uses = Pick<DropInquiry, "statementIds" | "writeIds" | "controlIds" | "unread">;

/** The statements that use a table, and those that do not. */
const usesOf = ({ workload, accesses }: Subject, table: TableName): Uses => {
  const uses = (id: string): readonly TableAccess[] =>
    (accesses.get(id) ?? []).filter((one) => tableId(one.table) === tableId(table));
  const using = workload.statements.filter(({ id }) => uses(id).length > 0);
  return {
    statementIds: using.map(({ id }) => id),
    writeIds: using
      .filter(({ id, verb }) => verb !== "select" && uses(id).some(({ written }) => written.length > 0))
      .map(({ id }) => id),
    controlIds: workload.statements
      .filter(({ id }) => (accesses.get(id) ?? []).length > 0 && uses(id).length === 0)
      .map(({ id }) => id),
    unread: workload.declined.map(({ label, reason }) => `${label}: ${reason}`),
  };
};

/** What the planner says of each statement without the indexes. */
const askPlanner = async (
  context: PilotContext,
  source: TargetSource,
  { planned, workload, accesses, explainable }: Subject,
  drops: readonly ProposedDrop[],
  inquiries: readonly (Uses & { readonly standing: StandingIndex })[],
): Promise<{ readonly objections: ReadonlyMap<number, Objected>; readonly planned: ReadonlySet<string> | null }> => {
  const subject = drops.length === 1 ? "it" : `${String(drops.length)} indexes`;
  context.emit({ kind: "step", text: `planning ${String(explainable.length)} statements without ${subject}` });
  const planner = await openPlanner({ whatIf: context.settings.whatIf, source }, planned);
  try {
    if (!planner.canHide) {
      const reason = `${planner.name} cannot plan as if an index were not there`;
      return {
        objections: new Map(drops.map(({ index }) => [index.oid, { code: "not_plannable", reason }])),
        planned: null,
      };
    }
    const statements = explainable.map(({ statement }) => statement);
    const { drop, declined, unplanned } = await selectConfiguration({
      statements,
      candidates: [],
      costs: createCostModel({ planner, statements, accesses, hypothetical: [] }),
      budgetBytes: 1,
      minimumShare: 0,
      drops,
      clock: context.clock,
      signal: context.signal,
    });
    const harmless = new Set(drop.map(({ index }) => index.oid));
    const labelOf = (id: string): string => workload.statements.find((one) => one.id === id)?.label ?? id;
    const objections = new Map<number, Objected>();
    for (const { standing, statementIds } of inquiries) {
      const blind = unplanned.filter(({ statementId }) => statementIds.includes(statementId));
      const asked = drops.some(({ index }) => index.oid === standing.oid);
      if (asked && !harmless.has(standing.oid)) objections.set(standing.oid, harmed(standing, declined, labelOf));
      else if (asked && blind.length > 0) {
        objections.set(standing.oid, {
          code: "not_plannable",
          reason: `${String(blind.length)} statements on ${quoteName(standing.table)} cannot be planned, so that nobody knows whether they need it: ${blind[0]?.reason ?? ""}`,
        });
      }
    }
    const blind = new Set(unplanned.map(({ statementId }) => statementId));
    return { objections, planned: new Set(statements.map(({ id }) => id).filter((id) => !blind.has(id))) };
  } finally {
    await planner.close();
  }
};

/** A foreign key is looked up by its index each time a row of its parent goes or changes its key, and no statement says so. */
const unserved = (
  catalog: Catalog,
  { oid, name, tableOid }: StandingIndex,
  gone: ReadonlySet<number>,
  now: Date,
): Objected | null => {
  const table = catalog.tables.find((one) => one.oid === tableOid);
  const served = table === undefined ? null : foreignKeyServedBy(catalog, table, new Set([...gone, oid]), now);
  return served === null
    ? null
    : {
        code: "serves_foreign_key",
        reason: `without ${name} each row that is deleted from ${quoteName(served.key.referenced)}, or whose key is updated, would read the whole table for foreign key ${served.key.name}: ${served.reason}`,
      };
};

/** What scans an index although no statement of the workload looks for rows of its table: nobody could be asked whether it needs it. */
const unexplained = (
  { workload, accesses }: Subject,
  { oid, name, table }: StandingIndex,
  counts: ScanCounts,
  now: Date,
): Objected | null => {
  // What only inserts scans none but unique indexes.
  const speaks = workload.statements.some(({ id, verb }) =>
    (accesses.get(id) ?? []).some(
      (one) => tableId(one.table) === tableId(table) && (verb !== "insert" || one.written.length === 0),
    ),
  );
  return speaks || !isScanned(counts, oid, now)
    ? null
    : {
        code: "used",
        reason: `${name} was scanned ${String(counts.scans.get(oid) ?? 0)} times, and no statement of the workload asks for rows of ${quoteName(table)}, so that nobody knows who needs it: let the application run for a while, or watch it with --observe 10m`,
      };
};

const harmed = (
  { oid, name }: StandingIndex,
  declined: readonly DeclinedCandidate[],
  labelOf: (id: string) => string,
): Objected => {
  const one = declined.find(({ existing }) => existing === oid);
  const named = (one?.statementIds ?? []).slice(0, 3).map(labelOf);
  return {
    code: "drop_harms_statement",
    reason: `${one?.reason ?? `dropping ${name} would harm`}: ${named.join(", ")}`,
  };
};

/** Tables that an extension has taken over are its own to change. */
export const objectionOfManager = async (session: Session, tableOid: number): Promise<Objected | null> => {
  const managedBy = await readManagedBy(session, tableOid);
  return managedBy === null ? null : { code: "managed", reason: `${managedBy} manages its table` };
};

/** Who else may need it: an extension that manages the table, replicas. */
const objectionOfOthers = async (
  session: Session,
  replicas: readonly Session[],
  { oid, name, tableOid }: StandingIndex,
): Promise<Objected | null> => {
  const managed = await objectionOfManager(session, tableOid);
  if (managed !== null) return managed;
  const { standbys } = await readReplicationLag(session);
  if (standbys > replicas.length) {
    return {
      code: "replicas_unknown",
      reason: `${String(standbys)} replicas follow this server, and whether they use ${name} is counted there: name each with --replica-url`,
    };
  }
  for (const replica of replicas) {
    const scans = (await readScans(replica)).get(oid) ?? 0;
    if (scans > 0)
      return { code: "used_on_replica", reason: `${name} was scanned ${String(scans)} times on a replica` };
  }
  return null;
};
