import { redundantIndexes } from "../candidates/index.ts";
import type { Bloat, Deployment, IndexSample, KeptForecast, ServerIdentity } from "../domain/index.ts";
import {
  countCoarse,
  estimateBloat,
  type Forecast,
  type IndexFacts,
  type IndexJudgement,
  type Insufficient,
  judgeIndexes,
  type MissingForeignKeyIndex,
  missingForeignKeyIndexes,
  ownBaseline,
  predictBloat,
  predictReindexNeeds,
  PRIMARY,
  readBuilding,
  readIndexFacts,
  readScanCounts,
  readStandbys,
  returnedAfterDays,
  type ReindexNeed,
  sampleOf,
  type StaleStatistics,
  staleStatistics,
} from "../maintenance/index.ts";
import { openSession, readCatalog, readServerIdentity, type Session } from "../postgres/index.ts";
import { PAGE_BYTES } from "../sizes/index.ts";
import type { Store } from "../store/index.ts";
import { type RebuiltIndex, rebuiltOf } from "./rebuilt.ts";
import { nodeName, withReplicas } from "./replicas.ts";
import { type PilotContext, readStore, withSession, withWritableStore } from "./target.ts";
import { noteVersions } from "./versions.ts";

const DAY_MS = 86_400_000;
/** Indexes that are forecast, those that would give back most first: the others have little to give. */
const FORECAST_INDEXES = 200;
/** Samples that a forecast and a chart look at; use is looked at over {@link USE_DAYS}. */
const HISTORY_DAYS = 35;
const USE_DAYS = 100;

export interface HealthOptions {
  /** Remember this look, and what it forecasts, in the store. Makes it where it is missing. */
  readonly record: boolean;
  /** How much may be read of tables whose keys the statistics describe too coarsely; 0: nothing but the catalogue. */
  readonly readBytes: number;
}

export interface IndexHealth {
  readonly judgement: IndexJudgement;
  readonly method: string;
  readonly bloat: Bloat;
  /** What a rebuild would give back; null where that is withheld. */
  readonly wastedBytes: number | null;
  /** Bloat over time since the file was last rewritten, oldest first; empty where it is not forecast. */
  readonly history: readonly { readonly at: Date; readonly share: number }[];
  /** Null where it is too small to matter. */
  readonly forecast: Forecast | Insufficient | null;
  /** What earlier looks had forecast of the file, and what came, oldest first. */
  readonly earlierForecasts: readonly Due[];
  readonly reindex: ReindexNeed | null;
  /** Of its table, as last counted. */
  readonly tableBytes: number;
  /** Days from its last rewrite until it was above the threshold; null where none was seen. */
  readonly returnedAfterDays: number | null;
}

/** A forecast whose day has come. */
type Due = KeptForecast & { readonly achieved: number };

export interface HealthReport {
  readonly server: ServerIdentity;
  readonly at: Date;
  /** Share above which an index should be rebuilt. */
  readonly threshold: number;
  readonly aheadDays: number;
  /** The largest first. */
  readonly indexes: readonly IndexHealth[];
  readonly missingForeignKeyIndexes: readonly MissingForeignKeyIndex[];
  readonly staleStatistics: readonly StaleStatistics[];
  /** How earlier forecasts did; null before any was due. */
  readonly accuracy: { readonly due: number; readonly within: number; readonly meanError: number } | null;
  /** What IndexPilot has rebuilt in the last 100 days, oldest first. */
  readonly rebuilt: readonly RebuiltIndex[];
  readonly recorded: boolean;
}

const daysBefore = (now: Date, days: number): Date => new Date(now.getTime() - days * DAY_MS);

/** What the store knows. */
interface Memory {
  /** Of all indexes, the looks that tell of use and of rewrites. */
  readonly samples: ReadonlyMap<number, readonly IndexSample[]>;
  readonly ownScans: ReadonlyMap<number, number>;
  readonly deployments: readonly Deployment[];
  readonly due: readonly Due[];
}

const remember = async (store: Store, now: Date, threshold: number): Promise<Memory> => ({
  samples: await store.samples.tellingSince(daysBefore(now, USE_DAYS), threshold),
  ownScans: await store.scans.read(),
  deployments: await store.deployments.list(),
  due: (await store.samples.achieved(daysBefore(now, HISTORY_DAYS))).flatMap((one) =>
    one.achieved === null ? [] : [{ ...one, achieved: one.achieved }],
  ),
});

const accuracyOf = (due: readonly Due[]): HealthReport["accuracy"] => {
  if (due.length === 0) return null;
  return {
    due: due.length,
    within: due.filter(({ low, high, achieved }) => achieved >= low && achieved <= high).length,
    meanError: due.reduce((sum, { value, achieved }) => sum + Math.abs(value - achieved), 0) / due.length,
  };
};

interface Looked {
  readonly index: IndexFacts;
  readonly bloat: Bloat;
}

/** Every index's bloat: from the catalogue, from its own size after its last rewrite, and as far as the budget lasts by counting keys. */
const lookAt = async (session: Session, memory: Memory, readBytes: number): Promise<readonly Looked[]> => {
  const looked = (await readIndexFacts(session)).map((index) => ({
    index,
    bloat: estimateBloat(index, undefined, ownBaseline(memory.samples.get(index.oid) ?? [])),
  }));
  const counted = await countCoarse(session, looked, readBytes);
  return looked.map(({ index, bloat }) => ({ index, bloat: counted.get(index.oid) ?? bloat }));
};

const wastedBytesOf = ({ index, bloat }: Looked): number | null =>
  bloat.kind === "shown" && index.sizeBytes !== null ? Math.max(0, index.sizeBytes - bloat.neededBytes) : null;

/**
 * How all indexes are, and how they will be. Reads the catalogue and the counters of the primary and of the replicas, within a budget rows of tables, and the
 * store where there is one; changes nothing, unless asked to remember.
 * @throws IndexPilotError as `openSession`, `readCatalog`, `withReplicas` and, with `record`, `openStore` do
 */
export const checkHealth = (context: PilotContext, options: HealthOptions): Promise<HealthReport> =>
  withSession(openSession(context.observe, "observe"), (session) =>
    withReplicas(context.replicas ?? [], session, async (replicas) => {
      const now = context.clock.now();
      const { bloatThreshold: threshold, forecastAheadMs } = context.settings;
      const aheadDays = Math.max(1, Math.round(forecastAheadMs / DAY_MS));
      const nothing: Memory = { samples: new Map(), ownScans: new Map(), deployments: [], due: [] };
      const recall = <T>(work: (store: Store) => Promise<T>): Promise<T | null> =>
        options.record ? withWritableStore(context, work) : readStore(context, work);
      const recalled = await recall(async (store) => {
        // An index that was rebuilt since may have another OID: what is known of it is to be found by that.
        if (options.record) await noteVersions(session, store, context);
        return remember(store, now, threshold);
      });
      const memory = recalled ?? nothing;
      context.emit({ kind: "step", text: "looking at the catalogue and the counters" });
      const looked = await lookAt(session, memory, options.readBytes);
      const onReplicas = await Promise.all(replicas.map((one) => readScanCounts(one, nodeName(one), new Map())));
      const fresh = looked.flatMap(({ index, bloat }) => {
        const scans = onReplicas.map((one) => [one.node, one.scans.get(index.oid) ?? 0] as const);
        return sampleOf(index, bloat, Object.fromEntries(scans), now) ?? [];
      });
      const samples = new Map(fresh.map((one) => [one.indexOid, [...(memory.samples.get(one.indexOid) ?? []), one]]));
      const catalog = await readCatalog(session);
      const judgements = new Map(
        judgeIndexes({
          tables: catalog.tables,
          redundant: redundantIndexes(catalog),
          nodes: [await readScanCounts(session, PRIMARY, memory.ownScans), ...onReplicas],
          standbys: await readStandbys(session),
          samples,
          building: await readBuilding(session),
          onTrial: new Set(
            memory.deployments.flatMap(({ state, indexOid }) =>
              state === "trying" && indexOid !== null ? [indexOid] : [],
            ),
          ),
          isOurs: (index, table) =>
            memory.deployments.some(
              (one) =>
                // What we only were to drop is somebody's.
                one.kind !== "drop" &&
                (one.indexOid === index.oid || (one.tableOid === table.oid && one.temporaryName === index.name)),
            ),
          now,
        }).map((one) => [one.oid, one]),
      );
      const wasted = (one: Looked): number => wastedBytesOf(one) ?? 0;
      const forecastable = new Set(
        looked
          .filter((one) => wasted(one) > 0 && one.index.valid)
          .toSorted((a, b) => wasted(b) - wasted(a))
          .slice(0, FORECAST_INDEXES)
          .map(({ index }) => index.oid),
      );
      const since = daysBefore(now, HISTORY_DAYS);
      const series = await recall((store) => store.samples.since(since, [...forecastable]));
      const indexes = looked.flatMap((one): IndexHealth[] => {
        const { index, bloat } = one;
        const judgement = judgements.get(index.oid);
        // Made or dropped between the two looks.
        if (judgement === undefined) return [];
        const telling = (samples.get(index.oid) ?? []).filter(({ at }) => at >= since);
        const isForecast = forecastable.has(index.oid);
        const own = isForecast ? [...(series?.get(index.oid) ?? []), ...telling.slice(-1)] : [];
        return [
          {
            judgement,
            method: index.method,
            bloat,
            wastedBytes: wastedBytesOf(one),
            tableBytes: Math.max(0, index.tableFacts.pages) * PAGE_BYTES,
            history: own
              .filter(({ fileNode }) => fileNode === index.fileNode)
              .flatMap(({ at, bloat: seen }) => (seen === null ? [] : [{ at, share: seen.share }])),
            forecast: isForecast ? predictBloat(own, now, aheadDays) : null,
            earlierForecasts: isForecast
              ? memory.due.filter((due) => due.indexOid === index.oid && due.fileNode === index.fileNode)
              : [],
            returnedAfterDays: returnedAfterDays(telling, threshold),
            reindex: isForecast ? predictReindexNeeds(own, now, threshold) : null,
          },
        ];
      });
      if (options.record) {
        await withWritableStore(context, async (store) => {
          await store.samples.add(fresh);
          await store.samples.addForecasts(keptFrom(indexes, fresh, now));
          await store.retention.expire(now);
        });
      }
      return {
        server: await readServerIdentity(session),
        at: now,
        threshold,
        aheadDays,
        indexes: indexes.toSorted((a, b) => b.judgement.sizeBytes - a.judgement.sizeBytes),
        missingForeignKeyIndexes: missingForeignKeyIndexes(catalog.tables),
        staleStatistics: staleStatistics(catalog.tables),
        accuracy: accuracyOf(memory.due),
        rebuilt: memory.deployments
          .flatMap((one) => rebuiltOf(one) ?? [])
          .filter(({ at }) => at.getTime() >= now.getTime() - USE_DAYS * DAY_MS)
          .toSorted((a, b) => a.at.getTime() - b.at.getTime()),
        recorded: options.record,
      };
    }),
  );

/** The last day of each forecast, to be compared with what comes. */
const keptFrom = (
  indexes: readonly IndexHealth[],
  samples: readonly IndexSample[],
  now: Date,
): Omit<KeptForecast, "achieved">[] => {
  const nodes = new Map(samples.map(({ indexOid, fileNode }) => [indexOid, fileNode]));
  return indexes.flatMap(({ judgement, forecast }) => {
    const last = forecast?.kind === "forecast" ? forecast.at.at(-1) : undefined;
    const fileNode = nodes.get(judgement.oid);
    if (last === undefined || fileNode === undefined) return [];
    const { at: dueAt, value, low, high } = last;
    return [{ indexOid: judgement.oid, fileNode, madeAt: now, dueAt, value, low, high }];
  });
};
