import { formatDuration, formatSize, type MaintenanceWindow, type Mode } from "../config/index.ts";
import type {
  AdaptiveThreshold,
  BegunRebuild,
  CircuitBreaker,
  CostPrediction,
  Decision,
  Objection,
  PermitAnswer,
  PermittedAct,
  StopSwitch,
} from "../domain/index.ts";
import { mintPermit } from "../domain/permit.ts";
import { getAdaptiveThreshold } from "./adaptive-threshold.ts";
import { checkCircuitBreaker } from "./circuit-breaker.ts";
import type { ServerCondition } from "./condition.ts";
import type { SafeguardLimits } from "./limits.ts";
import { loadLimits, type ServerLoad } from "./load.ts";
import type { ReplicationLag } from "./replication.ts";
import { openPeriods } from "./window.ts";

/** Everything a decision is made from; store it with the decision and it can be recomputed. */
export interface PermitRequest {
  readonly act: PermittedAct;
  /** Set where somebody has stopped everything. */
  readonly stop: StopSwitch | null;
  /** Of the table. */
  readonly mode: Mode;
  /** The person, or the standing consent (`--yes`), that approved the act; null when nobody has. */
  readonly approvedBy: string | null;
  /** Whether the store's installation lease covers this server. */
  readonly leaseHeld: boolean;
  /** Whether this process holds the build lock. */
  readonly buildLockHeld: boolean;
  readonly condition: ServerCondition;
  /** Bytes of the indexes of ours, without this one. */
  readonly ownedBytes: number;
  readonly ownedBytesOnTable: number;
  readonly ownedBytesInSchema: number;
  /** Expected size of this one; null when nothing is known about it. Not looked at for drops. */
  readonly addedBytes: number | null;
  /** Bytes that end with it: of the index that it replaces or rebuilds. */
  readonly freedBytes: number;
  /** Of this one; null where nothing was estimated. */
  readonly prediction: CostPrediction | null;
  /** Of all databases of the server; null where nobody said how large the disk is. */
  readonly databaseBytes: number | null;
  /** When builds on this table were begun. */
  readonly buildsBegun: readonly Date[];
  /** When builds on any table were begun. */
  readonly allBuildsBegun: readonly Date[];
  /** Of a rebuild that was chosen because of bloat, with nobody at the terminal: when others were begun, within {@link REBUILD_RUN_MS}; null for every other act. */
  readonly rebuildsBegun: readonly BegunRebuild[] | null;
  /** Of builds on this table, and on the server. */
  readonly circuits: { readonly table: CircuitBreaker; readonly server: CircuitBreaker };
  /** Sessions that work now, and the threshold in sessions per core, with now recorded. */
  readonly load: ServerLoad & { readonly threshold: AdaptiveThreshold };
  readonly replication: ReplicationLag;
  readonly limits: SafeguardLimits;
  readonly now: Date;
}

const HOUR_MS = 3_600_000;
/** When to ask again about something whose end cannot be known. */
const SOON_MS = 30_000;

const later = (now: Date, ms: number): Date => new Date(now.getTime() + ms);

const tooMany = (where: string, begun: readonly Date[], limit: number, now: Date): Omit<Objection, "code"> | null => {
  const recent = begun
    .map((at) => at.getTime())
    .filter((at) => at > now.getTime() - HOUR_MS)
    .sort((a, b) => a - b);
  if (recent.length < limit) return null;
  // Once this one has left the hour, one place is free. With a limit of 0 none ever is.
  const leaving = recent[recent.length - limit];
  return {
    reason: `${String(recent.length)} builds in ${where} within an hour; at most ${String(limit)} are allowed`,
    retryAt: leaving === undefined ? null : new Date(leaving + HOUR_MS),
  };
};

/** Rebuilds that begin within so long belong to one run: no night's window reaches into the next. */
export const REBUILD_RUN_MS = 12 * HOUR_MS;

const runIsFull = (
  { act, freedBytes }: Pick<PermitRequest, "act" | "freedBytes">,
  begun: readonly BegunRebuild[],
  limits: SafeguardLimits,
  now: Date,
): Omit<Objection, "code"> | null => {
  const run = begun.filter(({ at }) => at.getTime() > now.getTime() - REBUILD_RUN_MS);
  const times = run.map(({ at }) => at.getTime());
  if (run.length === 0) return null;
  const indexes = new Set([...run.map(({ deploymentId }) => deploymentId), act.deploymentId]).size;
  // What gave way has been written all the same.
  const bytes = run.reduce((sum, { sizeBytes }) => sum + sizeBytes, freedBytes);
  const lastsMs = now.getTime() - Math.min(...times);
  const reason =
    indexes > limits.rebuildIndexes
      ? `this run has rebuilt ${String(limits.rebuildIndexes)} indexes, and more are not allowed`
      : bytes > limits.rebuildTotalBytes
        ? `with this one the run would rebuild ${formatSize(bytes)}; at most ${formatSize(limits.rebuildTotalBytes)} are allowed`
        : lastsMs > limits.rebuildTimeMs
          ? `this run began ${formatDuration(lastsMs)} ago; no rebuild begins after ${formatDuration(limits.rebuildTimeMs)}`
          : null;
  return reason === null ? null : { reason, retryAt: new Date(Math.max(...times) + REBUILD_RUN_MS) };
};

/** Objects outside the windows, and where what is left of one is too short; asks again when the next one opens that is long enough. */
const outsideWindows = (
  windows: readonly MaintenanceWindow[],
  buildMs: number,
  now: Date,
): Omit<Objection, "code"> | null => {
  if (windows.length === 0) return null;
  const periods = openPeriods(windows, now);
  const lengthFrom = (start: Date, end: Date): number => end.getTime() - start.getTime();
  const open = periods.find(({ opensAt }) => opensAt <= now);
  if (open !== undefined && lengthFrom(now, open.closesAt) >= buildMs) return null;
  const next = periods.find(({ opensAt, closesAt }) => opensAt > now && lengthFrom(opensAt, closesAt) >= buildMs);
  const takes = `the build takes about ${formatDuration(buildMs)}`;
  return {
    reason:
      open === undefined
        ? next === undefined
          ? `no maintenance window is long enough: ${takes}`
          : "no maintenance window is open"
        : `the maintenance window closes at ${open.closesAt.toISOString()}, and ${takes}`,
    retryAt: next?.opensAt ?? null,
  };
};

const tooBusy = (load: PermitRequest["load"], limits: SafeguardLimits, now: Date): Omit<Objection, "code"> | null => {
  if (!load.threshold.holding) return null;
  const { stopAbove, resumeBelow } = getAdaptiveThreshold(load.threshold, loadLimits(limits));
  const sessions = (perCore: number): string => (perCore * limits.serverCores).toFixed(1);
  return {
    reason:
      `${String(load.activeSessions)} sessions are active on ${String(limits.serverCores)} cores: builds are held back above` +
      ` ${sessions(stopAbove)}, and go on below ${sessions(resumeBelow)}`,
    retryAt: later(now, SOON_MS),
  };
};

const tooLate = (
  { lagMs, lagBytes }: ReplicationLag,
  limits: SafeguardLimits,
  now: Date,
): Omit<Objection, "code"> | null => {
  const late = lagMs !== null && lagMs > limits.replicationLagMs;
  const behind = lagBytes !== null && lagBytes > limits.replicationLagBytes;
  if (!late && !behind) return null;
  return {
    reason: late
      ? `a standby is ${formatDuration(lagMs)} late; at most ${formatDuration(limits.replicationLagMs)} are allowed`
      : `a standby has ${formatSize(lagBytes ?? 0)} of WAL to replay; at most ${formatSize(limits.replicationLagBytes)} are allowed`,
    retryAt: later(now, SOON_MS),
  };
};

/** Whether an act builds an index, with all that costs; the others give something back. */
export const isBuild = ({ act }: Pick<PermittedAct, "act">): boolean => act !== "drop index";

/** Whether it goes beyond a budget. What replaces or rebuilds an index without growing never does. */
const exceeds = (
  { addedBytes, freedBytes }: Pick<PermitRequest, "addedBytes" | "freedBytes">,
  ownedBytes: number,
  budgetBytes: number,
): boolean => {
  const growth = (addedBytes ?? 0) - freedBytes;
  return (freedBytes === 0 || growth > 0) && ownedBytes + growth > budgetBytes;
};

const stopObjection = (stop: StopSwitch): Omit<Objection, "code"> => ({
  reason: `${stop.stoppedBy} stopped everything at ${stop.stoppedAt.toISOString()}${stop.reason === "" ? "" : `: ${stop.reason}`}`,
  retryAt: null,
});

/**
 * The rules in the order they are asked. First those that only a person can change, then those that pass by themselves: a refusal with
 * a `retryAt` therefore means that nothing else stands in the way for good.
 */
const rules = {
  stopped: ({ stop }) => (stop === null ? null : stopObjection(stop)),
  mode: ({ mode }) =>
    mode === "observe" || mode === "advise"
      ? { reason: `the mode of this table is ${mode}, in which nothing is changed`, retryAt: null }
      : null,
  not_approved: ({ approvedBy, mode }) =>
    approvedBy === null && mode !== "autopilot" ? { reason: "nobody has approved it yet", retryAt: null } : null,
  installation_lease: (request) =>
    request.leaseHeld ? null : { reason: "the store was installed for another database", retryAt: null },
  read_only_server: ({ condition }) =>
    condition.readOnly
      ? { reason: "the server is a replica or read-only; DDL needs the primary", retryAt: null }
      : null,
  unsafe_version: ({ act, condition }) =>
    isBuild(act) && condition.versionNum >= 140_000 && condition.versionNum < 140_004
      ? {
          reason: `PostgreSQL 14.${String(condition.versionNum % 10_000)} can build corrupt indexes with CONCURRENTLY; 14.4 mends it`,
          retryAt: null,
        }
      : null,
  table_missing: ({ condition }) =>
    condition.indexesOnTable === null ? { reason: "the table does not exist any more", retryAt: null } : null,
  managed_table: ({ act, condition: { managedBy = null } }) =>
    isBuild(act) && managedBy !== null
      ? { reason: `${managedBy} manages this table: only its own commands may change it`, retryAt: null }
      : null,
  indexes_per_table: ({ act, condition, limits }) =>
    act.act === "create index" && (condition.indexesOnTable ?? 0) + 1 > limits.indexesPerTable
      ? {
          reason: `the table has ${String(condition.indexesOnTable)} indexes; at most ${String(limits.indexesPerTable)} are allowed`,
          retryAt: null,
        }
      : null,
  size_unknown: ({ act, addedBytes }) =>
    isBuild(act) && addedBytes === null
      ? { reason: "its size was not estimated, so the storage budget cannot be checked", retryAt: null }
      : null,
  storage_budget: ({ act, ownedBytes, addedBytes, freedBytes, limits }) =>
    isBuild(act) && exceeds({ addedBytes, freedBytes }, ownedBytes, limits.budgetBytes)
      ? {
          reason:
            `${String(ownedBytes)} bytes of ours and ${String(addedBytes)} for this one` +
            ` exceed the storage budget of ${String(limits.budgetBytes)}`,
          retryAt: null,
        }
      : null,
  table_budget: ({ act, ownedBytesOnTable, addedBytes, freedBytes, limits: { tableBudgetBytes } }) =>
    isBuild(act) &&
    tableBudgetBytes !== null &&
    exceeds({ addedBytes, freedBytes }, ownedBytesOnTable, tableBudgetBytes)
      ? {
          reason:
            `${String(ownedBytesOnTable)} bytes of ours on this table and ${String(addedBytes)} for this one` +
            ` exceed the table's budget of ${String(tableBudgetBytes)}`,
          retryAt: null,
        }
      : null,
  schema_budget: ({ act, ownedBytesInSchema, addedBytes, limits: { schemaBudgetBytes } }) =>
    act.act === "create index" &&
    schemaBudgetBytes !== null &&
    ownedBytesInSchema + (addedBytes ?? 0) > schemaBudgetBytes
      ? {
          reason:
            `${String(ownedBytesInSchema)} bytes of ours in schema ${act.table.schema} and ${String(addedBytes)} for this one` +
            ` exceed the schema's budget of ${String(schemaBudgetBytes)}`,
          retryAt: null,
        }
      : null,
  disk_space: ({ act, databaseBytes, addedBytes, limits: { diskCapacityBytes } }) =>
    isBuild(act) &&
    diskCapacityBytes !== null &&
    databaseBytes !== null &&
    // A build sorts on disk before it writes.
    databaseBytes + 2 * (addedBytes ?? 0) > diskCapacityBytes
      ? {
          reason: `the databases have ${formatSize(databaseBytes)}, and twice ${formatSize(addedBytes ?? 0)} would not fit into ${formatSize(diskCapacityBytes)}`,
          retryAt: null,
        }
      : null,
  write_overhead: ({ act, prediction, limits }) => {
    const overhead = prediction?.writeOverhead ?? null;
    if (act.act !== "create index" || overhead === null || overhead <= limits.writeOverhead) return null;
    const saved = prediction?.savedPerPaid ?? 0;
    if (saved >= limits.writeOverheadReturn) return null;
    return {
      reason:
        `it would add ${(overhead * 100).toFixed(0)} % to the time that writes of its table take;` +
        ` at most ${(limits.writeOverhead * 100).toFixed(0)} % are allowed where reads save less than ${String(limits.writeOverheadReturn)} times that`,
      retryAt: null,
    };
  },
  rebuild_size: ({ rebuildsBegun, act, freedBytes, limits }) =>
    isBuild(act) && rebuildsBegun !== null && freedBytes > limits.rebuildIndexBytes
      ? {
          reason: `the index has ${formatSize(freedBytes)}; at most ${formatSize(limits.rebuildIndexBytes)} are rebuilt without a person at the terminal`,
          retryAt: null,
        }
      : null,
  circuit_open: ({ act, circuits, limits, now }) => {
    if (!isBuild(act)) return null;
    for (const which of ["server", "table"] as const) {
      const answer = checkCircuitBreaker(circuits[which], now, limits);
      if (answer.kind === "refused") return { reason: `on this ${which}, ${answer.reason}`, retryAt: answer.retryAt };
    }
    return null;
  },
  build_rate: ({ act, buildsBegun, allBuildsBegun, limits, now }) => {
    if (!isBuild(act)) return null;
    return (
      tooMany("this table", buildsBegun, limits.buildsPerTablePerHour, now) ??
      tooMany("this database", allBuildsBegun, limits.buildsPerHour, now)
    );
  },
  rebuild_run: (request) =>
    isBuild(request.act) && request.rebuildsBegun !== null
      ? runIsFull(request, request.rebuildsBegun, request.limits, request.now)
      : null,
  build_running: ({ condition, buildLockHeld, now }) => {
    const [pid] = condition.buildingPids;
    if (pid !== undefined) {
      return { reason: `backend ${String(pid)} is building an index on this server`, retryAt: later(now, SOON_MS) };
    }
    return buildLockHeld
      ? null
      : { reason: "another IndexPilot is changing indexes of this database", retryAt: later(now, SOON_MS) };
  },
  maintenance_window: ({ act, prediction, limits, now }) =>
    isBuild(act) ? outsideWindows(limits.maintenanceWindows, prediction?.buildMs ?? 0, now) : null,
  load: ({ act, load, limits, now }) => (isBuild(act) ? tooBusy(load, limits, now) : null),
  replication_lag: ({ act, replication, limits, now }) => (isBuild(act) ? tooLate(replication, limits, now) : null),
  old_transaction: ({ condition: { oldestTransaction }, limits, now }) =>
    oldestTransaction !== null && oldestTransaction.ageMs > limits.oldestTransactionMs
      ? {
          reason:
            (oldestTransaction.pid === null
              ? "a prepared transaction"
              : `the transaction of backend ${String(oldestTransaction.pid)}`) +
            ` has been open for ${String(Math.round(oldestTransaction.ageMs / 1000))} s, and it would have to be waited for`,
          retryAt: later(now, SOON_MS),
        }
      : null,
} as const satisfies Record<string, (request: PermitRequest) => Omit<Objection, "code"> | null>;

/** Why the safeguards can say no; `SPEC.md` explains each. */
export type RefusalCode = keyof typeof rules;

export const refusalCodes = Object.keys(rules) as readonly RefusalCode[];

/** Mints a permit when no rule objects; otherwise the first objection. Pure but for the minting. */
export const requestPermit = (request: PermitRequest): PermitAnswer => {
  for (const code of refusalCodes) {
    const objection: Omit<Objection, "code"> | null = rules[code](request);
    if (objection !== null) return { kind: "refused", code, ...objection };
  }
  return { kind: "permit", permit: mintPermit(request.act, request.now.getTime() + request.limits.permitMs) };
};

/** Whether an act that has begun must end now. Drops go on through all but a stop: they end soon, and give back what they took. Pure. */
export const haltRunning = (running: {
  readonly act: PermittedAct["act"];
  readonly stop: StopSwitch | null;
  /** Null where nobody has looked yet. */
  readonly surroundings: Pick<PermitRequest, "load" | "replication"> | null;
  readonly limits: SafeguardLimits;
  readonly now: Date;
}): Objection | null => {
  const { act, stop, surroundings, limits, now } = running;
  if (stop !== null) return { code: "stopped", ...stopObjection(stop) };
  if (!isBuild({ act })) return null;
  const closed = outsideWindows(limits.maintenanceWindows, 0, now);
  if (closed !== null) return { code: "maintenance_window", ...closed };
  if (surroundings === null) return null;
  const busy = tooBusy(surroundings.load, limits, now);
  if (busy !== null) return { code: "load", ...busy };
  const late = tooLate(surroundings.replication, limits, now);
  return late === null ? null : { code: "replication_lag", ...late };
};

/** The record of one answer, with everything it can be recomputed from. */
export const permitDecision = (request: PermitRequest, answer: PermitAnswer): Decision => ({
  at: request.now,
  subject: answer.kind === "permit" ? "permit" : "refuse",
  deploymentId: request.act.deploymentId,
  rule: answer.kind === "permit" ? "safeguards" : `safeguards.${answer.code}`,
  outcome: answer.kind === "permit" ? "permitted" : "refused",
  code: answer.kind === "permit" ? "permitted" : answer.code,
  reason: answer.kind === "permit" ? "no safeguard objects" : answer.reason,
  inputs: {
    ...request,
    retryAt: answer.kind === "refused" ? answer.retryAt : null,
  },
});
