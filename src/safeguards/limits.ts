import { defaults, type Settings } from "../config/index.ts";

const names = [
  "budgetBytes",
  "indexesPerTable",
  "buildsPerTablePerHour",
  "buildsPerHour",
  "oldestTransactionMs",
  "permitMs",
  "breakerFailures",
  "breakerOpenMs",
  "breakerLongestOpenMs",
  "breakerSuccesses",
  "serverCores",
  "loadFloor",
  "loadCeiling",
  "loadHeadroom",
  "maintenanceWindows",
  "replicationLagMs",
  "replicationLagBytes",
  "tableBudgetBytes",
  "schemaBudgetBytes",
  "warnShare",
  "indexesWarning",
  "diskCapacityBytes",
  "writeOverhead",
  "writeOverheadReturn",
  "rebuildIndexes",
  "rebuildIndexBytes",
  "rebuildTotalBytes",
  "rebuildTimeMs",
] as const satisfies readonly (keyof Settings)[];

/** The numbers the safeguards decide by, which go into the record of each decision. `config/knobs.ts` says what each means and why. */
export type SafeguardLimits = Pick<Settings, (typeof names)[number]>;

/** The safeguards' part of the settings; the rest (URLs with passwords) must not come into a record. */
export const limitsOf = (settings: Settings): SafeguardLimits =>
  Object.fromEntries(names.map((name) => [name, settings[name]])) as unknown as SafeguardLimits;

export const defaultLimits: SafeguardLimits = limitsOf(defaults);
