import { readFile } from "node:fs/promises";
import { failure } from "../../errors.ts";
import type { ChangePlan } from "../../pilot/index.ts";
import { causeOf, writeOutputFile } from "./output-file.ts";

const FORMAT = "indexpilot plan";
/** Counts up with every change that an older reader would misunderstand. */
const FORMAT_VERSION = 1;

/** Writes a plan to be reviewed and applied later. @throws IndexPilotError `file_unusable`, also where the file exists */
export const writePlanFile = async (file: string, plan: ChangePlan): Promise<void> => {
  const document = { format: FORMAT, formatVersion: FORMAT_VERSION, ...plan };
  await writeOutputFile(file, `${JSON.stringify(document, null, 2)}\n`, { mode: 0o600 });
};

/** Reads a plan. @throws IndexPilotError `file_unusable`, `usage` when it is not a plan of ours */
export const readPlanFile = async (file: string): Promise<ChangePlan> => {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw failure("file_unusable", { file, cause: causeOf(error) }, error);
  }
  const notOurs = (why: string) =>
    failure("usage", {
      problem: `${file} is not a plan: ${why}`,
      hint: "make one with `indexpilot advise --out plan.json`",
    });
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw notOurs("it is not JSON");
  }
  const document = parsed as { format?: unknown; formatVersion?: unknown } & Partial<ChangePlan>;
  if (document?.format !== FORMAT) throw notOurs(`it does not say "format": "${FORMAT}"`);
  if (document.formatVersion !== FORMAT_VERSION) throw notOurs(`its format version is not ${String(FORMAT_VERSION)}`);
  // Plans of before drops were recommended have none.
  const { target, tables, controlIds, create, drop = [] } = document;
  if (
    target === undefined ||
    !Array.isArray(tables) ||
    !Array.isArray(controlIds) ||
    !Array.isArray(create) ||
    !Array.isArray(drop)
  ) {
    throw notOurs("parts of it are missing");
  }
  return { target, tables, controlIds, create, drop };
};
