import { modeOf, type Settings } from "../config/index.ts";
import type { Deployment } from "../domain/index.ts";

const modeOfTable = (table: Deployment["table"], { mode, modeOverrides }: Settings) =>
  modeOf(table, mode, modeOverrides);

/** Whether anything in this database may be advised on. */
export const mayAdvise = ({ mode, modeOverrides }: Settings): boolean =>
  [mode, ...modeOverrides.map((one) => one.mode)].some((one) => one !== "observe");

/** Whether indexes of a table may be built or rebuilt, once somebody has approved it. */
export const mayBeBuilt = (table: Deployment["table"], settings: Settings): boolean => {
  const mode = modeOfTable(table, settings);
  return mode === "approve" || mode === "autopilot";
};

/** Whether nobody has to be asked about anything in a table. */
export const isAutopilot = (table: Deployment["table"], settings: Settings): boolean =>
  modeOfTable(table, settings) === "autopilot";

/** Why nobody has to be asked about a proposal; null where somebody has to be. */
export const standingConsent = ({ table, rationale }: Deployment, settings: Settings): string | null => {
  if (isAutopilot(table, settings)) return "the table's mode is autopilot";
  return settings.automaticApproval === "high" && rationale.confidence === "high"
    ? "its confidence is high, and approval.automatic says that this is enough"
    : null;
};
