import { choice, count, duration, list, share, size, optionalSize, url } from "./knob.ts";
import { maintenanceWindow, showWindow } from "./window.ts";
import { modeOverride, modes, showOverride } from "./mode.ts";

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** Every knob, once: its name in the program (with the unit), its place in the file, default, bounds and reason. */
export const knobs = {
  url: url({
    path: "url",
    flag: "--url",
    environment: "INDEXPILOT_URL",
    why: "The database, as the observing role. What it leaves out comes from PGHOST, PGUSER, PGPASSWORD and so on.",
  }),
  buildUrl: url({
    path: "build_url",
    flag: "--build-url",
    environment: "INDEXPILOT_BUILD_URL",
    why: "The same database as the role that owns the tables; without it the role of the first URL builds.",
  }),
  mode: choice({
    path: "mode",
    of: modes,
    default: "approve",
    why: "How far IndexPilot may go: observe and advise change nothing, approve changes what a person said yes to, autopilot asks nobody.",
  }),
  modeOverrides: list({
    path: "modes",
    of: modeOverride,
    accepts: "- { schema: archive, mode: observe } or - { schema: public, table: orders, mode: advise }",
    showOne: showOverride,
    why: "Another mode for a schema or a table; a table's outranks its schema's, and that the database's.",
  }),

  budgetBytes: size({
    path: "advice.budget",
    flag: "--budget",
    default: 10e9,
    min: 1,
    max: 1e15,
    why: "Storage for what IndexPilot creates, minus what it drops. Large enough for most databases, small enough to be noticed.",
  }),
  maxColumns: count({
    path: "advice.max_columns",
    flag: "--max-columns",
    default: 3,
    min: 1,
    max: 8,
    why: "Key columns per index; a fourth rarely pays on B-trees and multiplies the candidates.",
  }),
  whatIf: choice({
    path: "advice.what_if",
    flag: "--what-if",
    of: ["shadow", "hypopg"],
    default: "shadow",
    why: "Who answers what-if: the shadow needs nothing on the target, HypoPG needs its extension there.",
  }),
  seed: count({
    path: "advice.seed",
    flag: "--seed",
    default: 1,
    min: 0,
    max: 999_999_999,
    why: "Seed of parameter sampling; the same seed gives the same advice.",
  }),

  blockMs: duration({
    path: "observation.block",
    flag: "--block",
    default: 5 * second,
    min: 100,
    max: hour,
    why: "One block of observation: reading pg_stat_statements more often would be felt, and less often gives few blocks.",
  }),
  baselineMs: duration({
    path: "observation.baseline",
    flag: "--baseline",
    default: minute,
    min: 100,
    max: 7 * day,
    why: "Observation before a build: twelve blocks, with which a fifth of the time is found in nine cases of ten (bench/verdicts.ts).",
  }),

  minimumBlocks: count({
    path: "verification.minimum_blocks",
    default: 5,
    min: 5,
    max: 1000,
    why: "Blocks on each side before the first look; fewer than five cannot tell noise from a change.",
  }),
  waitMs: duration({
    path: "verification.wait",
    flag: "--wait",
    default: 10 * minute,
    min: 100,
    max: 30 * day,
    why: "How long a verdict is looked for before it is called undecided.",
  }),
  alpha: share({
    path: "verification.alpha",
    default: 0.05,
    min: 0.0001,
    max: 0.2,
    why: "Error probability of naming a winner, over all looks and statements of one index.",
  }),
  margin: share({
    path: "verification.margin",
    default: 0.05,
    min: 0.001,
    max: 0.5,
    why: "A change of mean time within ± this is called equivalent.",
  }),

  lockBudgetMs: duration({
    path: "safeguards.lock_budget",
    default: 200,
    min: 10,
    max: 10 * second,
    why: "What a build of ours may make another session wait for, plus one poll of the watcher.",
  }),
  indexesPerTable: count({
    path: "safeguards.indexes_per_table",
    default: 10,
    min: 0,
    max: 1000,
    why: "Indexes on one table, everybody's counted: each one costs every write, and planning time.",
  }),
  buildsPerTablePerHour: count({
    path: "safeguards.builds_per_table_per_hour",
    default: 10,
    min: 0,
    max: 1000,
    why: "Builds on one table in an hour: a loop of create and drop must not wear the disk out.",
  }),
  buildsPerHour: count({
    path: "safeguards.builds_per_hour",
    default: 60,
    min: 0,
    max: 10_000,
    why: "Builds on all tables together in an hour: one a minute is more than a person can follow.",
  }),
  oldestTransactionMs: duration({
    path: "safeguards.oldest_transaction",
    default: minute,
    min: second,
    max: day,
    why: "A build is not begun while a transaction it would wait for is older. Longer than web requests and most batch steps take; a dump or a forgotten session is older.",
  }),
  permitMs: duration({
    path: "safeguards.permit",
    default: minute,
    min: second,
    max: 10 * minute,
    why: "How long a permit is good for: enough to reach the DDL, too short for the answer to go stale.",
  }),
  coolDownMs: duration({
    path: "safeguards.cool_down",
    default: 7 * day,
    min: minute,
    max: 365 * day,
    why: "After a rollback the same index is not built again for this long: the next verdict would most likely be the same.",
  }),
  maintenanceWindows: list({
    path: "safeguards.maintenance_windows",
    of: maintenanceWindow,
    accepts: '- { time_zone: Europe/Berlin, from: "02:00", to: "06:00", days: [sat, sun] }',
    showOne: showWindow,
    why: "When builds may begin; one that would not fit is not begun. None: at any time. Without from, to and days a window is 02:00 to 06:00 every day.",
  }),
  breakerFailures: count({
    path: "safeguards.circuit_breaker.failures",
    default: 5,
    min: 1,
    max: 100,
    why: "Failed builds in a row that open the breaker of a table, or of the server: five are no accident.",
  }),
  breakerOpenMs: duration({
    path: "safeguards.circuit_breaker.open",
    default: minute,
    min: second,
    max: day,
    why: "How long the breaker stays open the first time; each failed trial doubles it.",
  }),
  breakerLongestOpenMs: duration({
    path: "safeguards.circuit_breaker.longest_open",
    default: day,
    min: second,
    max: 30 * day,
    why: "Where the doubling ends: one trial a day costs little, and finds out when somebody has mended the cause.",
  }),
  breakerSuccesses: count({
    path: "safeguards.circuit_breaker.successes",
    default: 2,
    min: 1,
    max: 100,
    why: "Successful trials in a row that close the breaker: one may be luck.",
  }),
  serverCores: count({
    path: "safeguards.load.server_cores",
    default: 8,
    min: 1,
    max: 4096,
    why: "Cores of the database server. SQL cannot read it, and eight is a common size: say yours.",
  }),
  loadFloor: share({
    path: "safeguards.load.floor",
    default: 2,
    min: 0,
    max: 1000,
    why: "Active sessions per core below which no build is held back, however quiet it usually is: two per core wait for disks more than for each other.",
  }),
  loadCeiling: share({
    path: "safeguards.load.ceiling",
    default: 8,
    min: 0,
    max: 1000,
    why: "Active sessions per core above which no build begins, however busy it usually is.",
  }),
  loadHeadroom: share({
    path: "safeguards.load.headroom",
    default: 1.5,
    min: 1,
    max: 10,
    why: "Between floor and ceiling the limit is this many times the 95th percentile of the last 1000 samples: a usual peak is no reason to hold back.",
  }),
  replicationLagMs: duration({
    path: "safeguards.replication_lag",
    default: 30 * second,
    min: 100,
    max: day,
    why: "A build writes as much WAL as the index is large; a standby that is later than this must catch up first.",
  }),
  replicationLagBytes: size({
    path: "safeguards.replication_lag_bytes",
    default: 256e6,
    min: 1,
    max: 1e15,
    why: "The same in WAL not yet replayed, for standbys whose time is not known: sixteen segments.",
  }),
  tableBudgetBytes: optionalSize({
    path: "safeguards.table_budget",
    min: 1,
    max: 1e15,
    why: "Storage for the indexes of ours on one table. Unknown: only the whole budget counts.",
  }),
  schemaBudgetBytes: optionalSize({
    path: "safeguards.schema_budget",
    min: 1,
    max: 1e15,
    why: "The same in one schema: what one tenant's data may cost, where each tenant has a schema of its own.",
  }),
  diskCapacityBytes: optionalSize({
    path: "safeguards.disk_capacity",
    min: 1,
    max: 1e18,
    why: "Size of the server's disk, which SQL cannot read: the databases and twice the new index must fit. Unknown: not checked.",
  }),
  writeOverhead: share({
    path: "safeguards.write_overhead",
    default: 0.2,
    min: 0,
    max: 10,
    why: "What a new index may add to the time its table's writes take, predicted: a fifth is noticed, and rarely missed.",
  }),
  writeOverheadReturn: count({
    path: "safeguards.write_overhead_return",
    default: 10,
    min: 1,
    max: 1_000_000_000,
    why: "An index may add more than that where its statements save so many times what its writes pay: microseconds of an insert for seconds of a read.",
  }),
} as const;

export type KnobName = keyof typeof knobs;
