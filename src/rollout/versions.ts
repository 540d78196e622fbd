import type { Deployment, IndexChange, IndexFact, IndexSeries, IndexVersion } from "../domain/index.ts";
import { sameDefinition, type Session, SqlState, sqlStateOf } from "../postgres/index.ts";
import type { Clock } from "../runtime/index.ts";
import type { Store, VersionEntry } from "../store/index.ts";

// pg_get_indexdef locks each table for reading (ACCESS SHARE), as a query on it would. Every role may.
const factsSql = `
  select i.indexrelid as oid, i.indrelid as "tableOid",
         jsonb_build_object('schema', tn.nspname, 'name', t.relname) as table,
         n.nspname as schema, c.relname as name,
         pg_catalog.pg_get_indexdef(i.indexrelid) as definition,
         pg_catalog.pg_get_constraintdef(k.oid) as constraint,
         s.spcname as tablespace,
         greatest(c.relpages, 0)::float8 * current_setting('block_size')::int as "sizeBytes",
         -- The parent of a partitioned index has no rows: it is an index before all partitions have theirs.
         (i.indisvalid or c.relkind = 'I') and i.indisready and i.indislive as valid
    from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indexrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_class t on t.oid = i.indrelid
    join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
    -- A foreign key names the index it relies on, too.
    left join pg_catalog.pg_constraint k on k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')
    left join pg_catalog.pg_tablespace s on s.oid = c.reltablespace
   where n.nspname not in ('pg_catalog', 'information_schema', 'indexpilot') and n.nspname !~ '^pg_(toast|temp)'`;

/** Behind somebody who holds a table for himself we do not queue: the next command looks again. */
const LOOK_LOCK_TIMEOUT = "200ms";

/** Null where a table is held exclusively. Leaves out what somebody dropped while we looked: it has no definition any more. */
const readFacts = async (session: Session): Promise<readonly IndexFact[] | null> => {
  type Found = IndexFact | (Omit<IndexFact, "definition"> & { definition: null });
  await session.query("begin read only");
  try {
    await session.query(`set local lock_timeout = '${LOOK_LOCK_TIMEOUT}'`);
    const found = await session.query<Found>(factsSql);
    return found.filter((fact): fact is IndexFact => fact.definition !== null);
  } catch (error) {
    if (sqlStateOf(error) === SqlState.lockNotAvailable) return null;
    throw error;
  } finally {
    await session.query("rollback");
  }
};

/** What the deployments explain. */
interface Ours {
  /** The one that made or dropped the index of this OID. */
  readonly of: (oid: number) => Deployment | undefined;
  /** Why one was rolled back, and at whose word, as its history says. */
  readonly whyRolledBack: (id: string) => string | undefined;
  /** Whether the index is one of those that a running deployment moves about: it is looked at when that has ended. */
  readonly isMoving: (fact: IndexFact) => boolean;
}

const explain = (deployments: readonly Deployment[], reasons: ReadonlyMap<string, string>): Ours => {
  const made = deployments.filter(({ kind }) => kind !== "reindex");
  const byOid = new Map(made.flatMap((one) => (one.indexOid === null ? [] : [[one.indexOid, one] as const])));
  const running = made.filter(({ state }) => state === "building" || state === "retiring");
  return {
    of: (oid) => byOid.get(oid),
    whyRolledBack: (id) => reasons.get(id),
    isMoving: ({ oid, tableOid, name }) =>
      running.some(
        (one) =>
          one.indexOid === oid ||
          one.replaces?.oid === oid ||
          (one.tableOid === tableOid && one.temporaryName === name),
      ),
  };
};

const isExplained = ({ kind, state }: Deployment, change: IndexChange): boolean => {
  switch (change) {
    case "found":
      return false;
    case "created":
      return kind === "create";
    case "changed":
      return kind === "replace";
    case "dropped":
      return state === "rolled_back" || (kind === "drop" && state === "done");
  }
};

/**
 * What a look at the catalogue adds to the history. An index is matched by its OID, and where that is new by its name on its table (it was rebuilt, or
 * dropped and made again). An unchanged definition makes no version. Invalid ones are builds on their way or what is left of one: they neither begin a
 * series nor change one. Pure.
 */
const versionEntries = (
  known: readonly IndexSeries[],
  facts: readonly IndexFact[],
  ours: Ours,
  now: Date,
): readonly VersionEntry[] => {
  const byOid = new Map(
    known.flatMap((series) => (series.indexOid === null ? [] : [[series.indexOid, series] as const])),
  );
  const keyOf = (one: { readonly tableOid: number; readonly schema: string; readonly name: string }): string =>
    JSON.stringify([one.tableOid, one.schema, one.name]);
  // While REINDEX CONCURRENTLY drops the old index, that one is invalid, and the new one has its name.
  const present = new Set(facts.filter(({ valid }) => valid).map(({ oid }) => oid));
  const free = new Map(
    known
      .filter(({ indexOid }) => indexOid === null || !present.has(indexOid))
      .map((series) => [keyOf(series), series] as const),
  );
  const isFirstLook = known.length === 0;
  const seen = new Set<number>();
  const entries: VersionEntry[] = [];
  const version = (
    of: Pick<IndexFact, "definition" | "constraint" | "tablespace" | "sizeBytes">,
    series: IndexSeries | undefined,
    change: IndexChange,
    oid: number | null,
  ): IndexVersion => {
    const deployment = oid === null ? undefined : ours.of(oid);
    // What others change of an index that we made has the same OID.
    const isSame = change === "changed" && series?.indexOid === oid;
    const mine = deployment !== undefined && !isSame && isExplained(deployment, change);
    const { definition, constraint, tablespace, sizeBytes } = of;
    return {
      number: (series?.latest.number ?? 0) + 1,
      at: now,
      change,
      definition,
      constraint,
      tablespace,
      sizeBytes,
      actor: mine ? "indexpilot" : "others",
      reason: mine
        ? change === "dropped"
          ? deployment.kind === "drop"
            ? deployment.rationale.reason
            : `rolled back: ${ours.whyRolledBack(deployment.id) ?? "its history does not say why"}`
          : deployment.rationale.reason
        : change === "found"
          ? "it was there at the first look"
          : "not by IndexPilot",
      deploymentId: mine ? deployment.id : null,
    };
  };
  for (const fact of facts) {
    const series = byOid.get(fact.oid) ?? free.get(keyOf(fact));
    if (series !== undefined) seen.add(series.id);
    if (!fact.valid || ours.isMoving(fact)) continue;
    if (series === undefined) {
      const change = isFirstLook && ours.of(fact.oid) === undefined ? "found" : "created";
      entries.push({ seriesId: null, fact, version: version(fact, undefined, change, fact.oid) });
      continue;
    }
    const { latest } = series;
    if (latest.change === "dropped") {
      entries.push({ seriesId: series.id, fact, version: version(fact, series, "created", fact.oid) });
    } else if (
      !sameDefinition(latest.definition, fact.definition) ||
      latest.constraint !== fact.constraint ||
      latest.tablespace !== fact.tablespace
    ) {
      entries.push({ seriesId: series.id, fact, version: version(fact, series, "changed", fact.oid) });
    } else if (series.indexOid !== fact.oid) entries.push({ seriesId: series.id, fact, version: null });
  }
  for (const series of known) {
    if (seen.has(series.id) || series.latest.change === "dropped") continue;
    entries.push({
      seriesId: series.id,
      fact: null,
      version: version(series.latest, series, "dropped", series.indexOid),
    });
  }
  return entries;
};

/** Why those were rolled back whose indexes the history of indexes still takes to be there. */
const readReasons = async (
  { deployments }: Store,
  made: readonly Deployment[],
  known: readonly IndexSeries[],
): Promise<ReadonlyMap<string, string>> => {
  const there = new Set(known.flatMap(({ indexOid, latest }) => (latest.change === "dropped" ? [] : [indexOid])));
  const gone = made.filter(
    ({ kind, state, indexOid }) => kind !== "drop" && state === "rolled_back" && there.has(indexOid),
  );
  const reasons = new Map<string, string>();
  for (const { id } of gone) {
    const begun = (await deployments.history(id)).findLast(({ event }) => event === "roll_back");
    const reason = begun?.detail["reason"];
    if (typeof reason === "string") reasons.set(id, reason);
  }
  return reasons;
};

/**
 * Looks at every index of the database, anybody's, and adds to the history what has changed since the last look. Idempotent.
 * @returns how many versions were added; null where a table is held exclusively, so that there was no look
 */
export const trackIndexVersions = async (
  session: Session,
  store: Store,
  clock: Clock,
): Promise<{ readonly added: number } | null> => {
  const facts = await readFacts(session);
  if (facts === null) return null;
  const deployments = await store.deployments.list();
  const known = await store.versions.series();
  const ours = explain(deployments, await readReasons(store, deployments, known));
  const entries = versionEntries(known, facts, ours, clock.now());
  if (entries.length > 0) await store.versions.add(entries);
  return { added: entries.filter(({ version }) => version !== null).length };
};

/** The history of the indexes of this name (`name` or `schema.name`), as last looked at; usually one. Each series' versions oldest first. */
export const getIndexVersions = async (
  store: Store,
  name: string,
): Promise<readonly (IndexSeries & { readonly versions: readonly IndexVersion[] })[]> => {
  const found = (await store.versions.series()).filter(
    (series) => series.name === name || `${series.schema}.${series.name}` === name,
  );
  return Promise.all(found.map(async (series) => ({ ...series, versions: await store.versions.versions(series.id) })));
};
