import type {
  Catalog,
  ExistingIndex,
  ForeignKey,
  IndexSample,
  ProposedDrop,
  Table,
  TableActivity,
  TableName,
} from "../domain/index.ts";
import { quoteIdentifier, quoteName, renderDropIndex } from "../postgres/index.ts";
import { changedRows, isStale } from "./stale.ts";

const DAY_MS = 86_400_000;
/** Without a scan for so long, and over the end of a month, an index counts as unused. */
const UNUSED_DAYS = 30;

export type IndexStanding =
  | "used"
  | "guarantee"
  | "unused"
  | "unused_not_proved"
  | "redundant"
  | "invalid_ours"
  | "invalid"
  | "being_built"
  | "on_trial";

/** Whether an index should go rather than be rebuilt. */
export const isSpare = (standing: IndexStanding): boolean =>
  ["unused", "redundant", "invalid", "invalid_ours"].includes(standing);

/** What becomes of one index, and why. */
export interface IndexJudgement {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly table: { readonly schema: string; readonly name: string };
  readonly sizeBytes: number;
  readonly standing: IndexStanding;
  readonly reason: string;
  /** SQL or a command, for a person to run; null where nothing is to be done. */
  readonly remedy: string | null;
}

export const PRIMARY = "primary";

/** How one server counts scans. */
export interface ScanCounts {
  /** {@link PRIMARY}, or a replica's `host:port`. */
  readonly node: string;
  /** Since when its counters run; null where it does not know. */
  readonly since: Date | null;
  /** By index OID; our own probes left out. */
  readonly scans: ReadonlyMap<number, number>;
  /** When each was last scanned, where the server tells (16 and later). */
  readonly lastScan: ReadonlyMap<number, Date>;
}

export interface LifecycleInput {
  readonly tables: readonly Table[];
  readonly redundant: readonly ProposedDrop[];
  /** The primary first, then every replica that was given. */
  readonly nodes: readonly ScanCounts[];
  /** How many standbys are connected to the primary; null where the role may not see. */
  readonly standbys: number | null;
  /** Oldest first. */
  readonly samples: ReadonlyMap<number, readonly IndexSample[]>;
  /** OIDs of tables on which an index is being built or rebuilt now; null where the role may not see it. */
  readonly building: ReadonlySet<number> | null;
  /** OIDs of indexes that are hidden from the planner for a while, to see whether anything needs them. */
  readonly onTrial: ReadonlySet<number>;
  /** Whether the store knows the index as one that we build or built. */
  readonly isOurs: (index: ExistingIndex, table: Table) => boolean;
  readonly now: Date;
}

/** Why an index stays whatever its use; null where nothing forbids a drop. */
const guaranteeOf = (index: ExistingIndex, table: Table): string | null => {
  if (index.primary) return "it is the primary key";
  if (index.exclusion) return "it enforces an exclusion constraint";
  if (index.constraint !== null) return `it enforces the constraint ${index.constraint}`;
  if (index.unique) return "it enforces uniqueness";
  if (index.replicaIdentity) return "it is the replica identity, which logical replication reads";
  if (index.extensionOwned) return "an extension owns it";
  if (table.managedBy !== undefined && table.managedBy !== null) return `${table.managedBy} manages its table`;
  if (index.clustered) return "the table is clustered by it";
  if (index.parentOid !== null) return "it is a partition's part of its parent's index";
  return null;
};

const spansMonthEnd = (from: Date, to: Date): boolean =>
  from.getUTCFullYear() !== to.getUTCFullYear() || from.getUTCMonth() !== to.getUTCMonth();

const seenOf = (
  { node }: ScanCounts,
  samples: readonly IndexSample[],
): readonly { readonly at: Date; readonly count: number }[] =>
  samples.flatMap(({ at, scans, replicaScans }) => {
    const count = node === PRIMARY ? scans : replicaScans[node];
    return count === undefined ? [] : [{ at, count }];
  });

/** Since when our own looks at a node saw no scan; null where there was none. */
const quietSince = (node: ScanCounts, samples: readonly IndexSample[]): Date | null => {
  const seen = seenOf(node, samples);
  const last = seen.at(-1);
  const rise = seen.findLastIndex(({ count }) => count !== last?.count);
  return seen[rise + 1]?.at ?? null;
};

/** Since when a node knows of no scan of an index; null where it knows of one, or of no beginning. */
const unscannedSince = (node: ScanCounts, oid: number, samples: readonly IndexSample[]): Date | null => {
  const last = node.lastScan.get(oid);
  if (last !== undefined) return last;
  const quiet = quietSince(node, samples);
  if ((node.scans.get(oid) ?? 0) === 0) {
    const { since } = node;
    const seen = seenOf(node, samples);
    // Counters that ran backwards are not those from before: another server's since a failover. Our own scans are in all of them, and ran on.
    const isAnother = seen.some(({ at, count }) => since !== null && at > since && count > (seen.at(-1)?.count ?? 0));
    if (since === null || isAnother) return quiet;
    // Never in all that it counted: the longer of the two.
    return quiet !== null && quiet < since ? quiet : since;
  }
  return quiet;
};

const daysBetween = (from: Date, to: Date): number => Math.floor((to.getTime() - from.getTime()) / DAY_MS);

/** Whether what was counted since then up to now is long enough to say that something is not used. */
const isLong = (since: Date | null, now: Date): since is Date =>
  since !== null && daysBetween(since, now) >= UNUSED_DAYS && spansMonthEnd(since, now);

/** What a node's counters know is too short. */
const tooShort = (node: string, since: Date | null, now: Date): string =>
  `${node} ${since === null ? "does not say since when it counts" : `has counted for ${String(daysBetween(since, now))} days`}`;

/** Whether a node counts scans of an index by others, and does not know that the last of them is long ago. */
export const isScanned = ({ scans, lastScan }: ScanCounts, oid: number, now: Date): boolean =>
  (scans.get(oid) ?? 0) > 0 && !isLong(lastScan.get(oid) ?? null, now);

const useOf = (
  index: ExistingIndex,
  input: LifecycleInput,
): { readonly standing: IndexStanding; readonly reason: string } => {
  const { nodes, now, standbys } = input;
  const samples = input.samples.get(index.oid) ?? [];
  const since = nodes.map((node) => ({ node, at: unscannedSince(node, index.oid, samples) }));
  const scannedOn = nodes.filter((node) => (node.scans.get(index.oid) ?? 0) > 0);
  const used = scannedOn.filter((node) => !isLong(since.find((one) => one.node === node)?.at ?? null, now));
  if (used.length > 0) {
    return { standing: "used", reason: `scanned on ${used.map(({ node }) => node).join(", ")}` };
  }
  const short = since.filter(({ at }) => !isLong(at, now));
  if (short.length > 0) {
    const known = short.map(({ node, at }) => tooShort(node.node, at, now)).join(", ");
    return {
      standing: "unused_not_proved",
      reason: `no scan is known, but ${known}: ${String(UNUSED_DAYS)} days over a month's end are needed`,
    };
  }
  const replicas = nodes.length - 1;
  if (standbys === null || standbys > replicas) {
    const unseen =
      standbys === null
        ? "whether there are standbys cannot be seen"
        : `${String(standbys - replicas)} of ${String(standbys)} standbys were not looked at`;
    return {
      standing: "unused_not_proved",
      reason: `no scan for ${String(UNUSED_DAYS)} days here, but ${unseen} (--replica-url)`,
    };
  }
  const longest = Math.min(...since.map(({ at }) => daysBetween(at ?? now, now)));
  const where = replicas === 0 ? "" : ` on the primary and ${String(replicas)} replica${replicas === 1 ? "" : "s"}`;
  return { standing: "unused", reason: `not scanned for ${String(longest)} days${where}, over a month's end` };
};

const judge = (
  index: ExistingIndex,
  table: Table,
  input: LifecycleInput,
  redundant: ProposedDrop | undefined,
): IndexJudgement => {
  const made = (standing: IndexStanding, reason: string, remedy: string | null = null): IndexJudgement => ({
    oid: index.oid,
    schema: index.schema,
    name: index.name,
    table: { schema: table.schema, name: table.name },
    sizeBytes: index.sizeBytes,
    standing,
    reason,
    remedy,
  });
  const drop = renderDropIndex(index);
  if (!index.valid) {
    if (input.onTrial.has(index.oid)) {
      return made("on_trial", "on trial: the planner does not see it, writes keep it up, and `verify` ends the trial");
    }
    if (table.kind === "partitioned") return made("being_built", "not all partitions have their part of it yet");
    if (input.building === null) {
      return made("being_built", "it is invalid, and the role may not see whether it is being built (pg_monitor)");
    }
    if (input.building.has(table.oid)) return made("being_built", "an index of its table is being built now");
    if (input.isOurs(index, table)) {
      return made("invalid_ours", "a build of ours left it half done", "indexpilot verify");
    }
    const guarantee = index.constraint === null ? null : ` (${index.constraint})`;
    return made("invalid", `a build left it half done${guarantee ?? ""}: writes pay for it, no query can use it`, drop);
  }
  const guarantee = guaranteeOf(index, table);
  if (guarantee !== null) return made("guarantee", guarantee);
  if (redundant !== undefined) return made("redundant", redundant.reason, drop);
  const { standing, reason } = useOf(index, input);
  return made(standing, reason, standing === "unused" ? drop : null);
};

/**
 * Each index once: whether it is used, what it guarantees, or what it could go for. Unused means no scan over 30 days and a month's end on the primary and on
 * every standby that is connected; without knowing all of them nothing is called unused. Pure; what follows from it is a person's or the pilot's decision.
 */
export const judgeIndexes = (input: LifecycleInput): readonly IndexJudgement[] => {
  const redundant = new Map(input.redundant.map((drop) => [drop.index.oid, drop]));
  return input.tables.flatMap((table) =>
    table.indexes.map((index) => judge(index, table, input, redundant.get(index.oid))),
  );
};

/** A foreign key that no index of its table serves: deleting from the parent, or changing its key, reads the whole table. */
export interface MissingForeignKeyIndex {
  readonly table: { readonly schema: string; readonly name: string };
  readonly constraint: string;
  readonly columns: readonly string[];
  readonly parent: { readonly schema: string; readonly name: string };
  readonly parentDeletes: number;
  readonly tableBytes: number;
  readonly remedy: string;
}

const isServed = (table: Table, { columns }: ForeignKey, without: ReadonlySet<number> = new Set()): boolean =>
  table.indexes.some((index) => {
    if (without.has(index.oid) || !index.valid || index.predicate !== null || !["btree", "hash"].includes(index.method))
      return false;
    const first = index.keys.slice(0, columns.length);
    return first.length === columns.length && columns.every((column) => first.includes(column));
  });

/** How to find the counters of a table's rows: its own, or those of its leaves where it is partitioned; null among them where one has none, or the table is unknown. */
const activitiesIn = (tables: readonly Table[]): ((of: TableName) => readonly (TableActivity | null)[]) => {
  const byName = new Map(tables.map((table) => [quoteName(table), table]));
  const children = new Map<string, Table[]>();
  for (const table of tables) {
    for (const parent of table.parents.map(quoteName)) children.set(parent, [...(children.get(parent) ?? []), table]);
  }
  const activitiesOf = (of: TableName): readonly (TableActivity | null)[] => {
    const table = byName.get(quoteName(of));
    return table?.kind === "partitioned"
      ? (children.get(quoteName(table)) ?? []).flatMap(activitiesOf)
      : [table?.activity ?? null];
  };
  return activitiesOf;
};

const deletesOf = (activities: readonly (TableActivity | null)[]): number =>
  activities.reduce((sum, activity) => sum + (activity?.deletes ?? 0), 0);

/** A foreign key that needs the index that serves it, and what says so. */
interface ServedForeignKey {
  readonly key: ForeignKey;
  readonly reason: string;
}

/** Why the referencing table may be looked through for the rows of a parent; null where it is known that it was not. A heap-only update never changes a key. */
const whyLookedUp = (activities: readonly (TableActivity | null)[], since: Date | null, now: Date): string | null => {
  const deletes = deletesOf(activities);
  if (deletes > 0) return `${String(deletes)} were deleted`;
  const updates = activities.reduce((sum, one) => sum + (one === null ? 0 : one.updates - one.hotUpdates), 0);
  if (updates > 0) return `${String(updates)} were updated, perhaps in their key`;
  if (activities.includes(null)) return "how many were is not known: it has no counters";
  if (isLong(since, now)) return null;
  return `none is known, but ${tooShort(PRIMARY, since, now)}: ${String(UNUSED_DAYS)} days over a month's end are needed`;
};

/**
 * A foreign key of a table that an index serves now and none would without those, and whose parent loses rows or changes keys, or may do so as far as the counters
 * know: no statement's text shows that it is asked for. Null where there is none.
 */
export const foreignKeyServedBy = (
  { tables, activitySince = null }: Pick<Catalog, "tables" | "activitySince">,
  table: Table,
  without: ReadonlySet<number>,
  now: Date,
): ServedForeignKey | null => {
  const served = table.foreignKeys.filter((key) => isServed(table, key) && !isServed(table, key, without));
  if (served.length === 0) return null;
  const activitiesOf = activitiesIn(tables);
  const since = activitySince === null ? null : new Date(activitySince);
  for (const key of served) {
    const reason = whyLookedUp(activitiesOf(key.referenced), since, now);
    if (reason !== null) return { key, reason };
  }
  return null;
};

/** Those whose parents lose the most rows first, then those of the largest tables. */
export const missingForeignKeyIndexes = (tables: readonly Table[]): readonly MissingForeignKeyIndex[] => {
  const activitiesOf = activitiesIn(tables);
  return tables
    .flatMap((table) =>
      table.foreignKeys.flatMap((key): MissingForeignKeyIndex[] => {
        if (isServed(table, key)) return [];
        return [
          {
            table: { schema: table.schema, name: table.name },
            constraint: key.name,
            columns: key.columns,
            parent: key.referenced,
            parentDeletes: deletesOf(activitiesOf(key.referenced)),
            tableBytes: table.blocks * 8192,
            remedy: `create index concurrently on ${quoteName(table)} (${key.columns.map(quoteIdentifier).join(", ")})`,
          },
        ];
      }),
    )
    .toSorted((a, b) => b.parentDeletes - a.parentDeletes || b.tableBytes - a.tableBytes);
};

export interface StaleStatistics {
  readonly table: { readonly schema: string; readonly name: string };
  /** Of the rows, since the last ANALYZE; null where none is known. */
  readonly changedShare: number | null;
  readonly remedy: string;
}

/** Tables whose statistics say too little about what is in them now, by what withholds their indexes' bloat. */
export const staleStatistics = (tables: readonly Table[]): readonly StaleStatistics[] =>
  tables.flatMap((table): StaleStatistics[] => {
    if (table.kind === "partitioned" || table.blocks === 0) return [];
    const { tuples, activity } = table;
    const { modificationsSinceAnalyze, analyzed, liveTuples } = activity ?? {
      modificationsSinceAnalyze: 0,
      analyzed: true,
      liveTuples: tuples,
    };
    const age = { tuples, liveTuples, modificationsSinceAnalyze, analyzed };
    if (!isStale(age)) return [];
    return [
      {
        table: { schema: table.schema, name: table.name },
        changedShare: tuples < 0 || !analyzed ? null : changedRows(age) / Math.max(1, tuples),
        remedy: `analyze ${quoteName(table)}`,
      },
    ];
  });
