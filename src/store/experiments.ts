import { type Selectable, sql, type Updateable } from "kysely";
import type {
  ArmCounters,
  ArmWindow,
  Decision,
  Experiment,
  ExperimentGround,
  Follower,
  VoidStretch,
} from "../domain/index.ts";
import type { Database, Tables } from "./database.ts";
import { decisionRepository } from "./decisions.ts";

/** What a step may change of an experiment. */
export type ExperimentPatch = Partial<
  Pick<
    Experiment,
    | "control"
    | "treatment"
    | "stage"
    | "stageAt"
    | "state"
    | "evidence"
    | "deciding"
    | "winner"
    | "endedAt"
    | "endReason"
    | "verdict"
  >
>;

export interface ExperimentRepository {
  /** Gives it its number. @returns null where another one is open on that table */
  insert(experiment: Omit<Experiment, "number">): Promise<Experiment | null>;
  get(id: string): Promise<Experiment | null>;
  /** Oldest first. */
  list(): Promise<readonly Experiment[]>;
  /** Those that have not ended, oldest first. */
  open(): Promise<readonly Experiment[]>;
  /**
   * Only where its state and stage still are those we know; the step and the decision for it are recorded together or not at all.
   * @returns the experiment as it now is, or null when another process was quicker
   */
  advance(
    known: Pick<Experiment, "id" | "state" | "stage">,
    patch: ExperimentPatch,
    decision?: Decision,
  ): Promise<Experiment | null>;
  /** Adds to what is there of the same windows. Takes only what an experiment that runs has seen. */
  add(id: string, windows: readonly ArmWindow[]): Promise<void>;
  /** `latencies`: whether with the calls by their time, which take far more room than all the rest; else there are none. */
  readWindows(
    id: string,
    wanted: { readonly latencies: boolean },
  ): Promise<{ readonly windows: readonly ArmWindow[]; readonly voids: readonly VoidStretch[] }>;
  /** What the arms stood on when it was last looked at; null before the first look. */
  ground(id: string): Promise<{ readonly ground: ExperimentGround; readonly at: Date } | null>;
  /** Sets it anew; where it is another one, the stretch in which it changed is void. */
  setGround(id: string, ground: ExperimentGround, at: Date, broken: VoidStretch | null): Promise<void>;
  /** Whoever conducts it has just looked at it; by the server's clock. */
  attend(id: string): Promise<void>;
  /** Ids of open experiments that somebody has looked at within `ms`. */
  attended(withinMs: number): Promise<ReadonlySet<string>>;
  /** A process of the application says that it is there, and how it stands; by the server's clock. */
  sayFollowing(
    follower: Pick<Follower, "process" | "application" | "stands"> & { readonly role: string },
  ): Promise<void>;
  /** Processes that were heard of within `ms`. */
  followers(withinMs: number): Promise<readonly Follower[]>;
  /** It follows no more. */
  endFollowing(process: string): Promise<void>;
}

const fromRow = (row: Selectable<Tables["experiment"]>): Experiment => ({
  id: row.id,
  number: row.number,
  kind: row.kind,
  exposure: row.exposure,
  table: { schema: row.table_schema, name: row.table_name },
  tableOid: row.table_oid,
  control: row.control,
  treatment: row.treatment,
  stages: row.stages,
  stage: row.stage,
  stageAt: row.stage_at,
  unit: row.unit,
  metric: row.metric,
  margin: row.margin,
  alpha: row.alpha,
  blockMs: row.block_ms,
  maxMs: Number(row.max_ms),
  state: row.state,
  actor: row.actor,
  evidence: row.evidence,
  deciding: row.deciding,
  winner: row.winner,
  createdAt: row.created_at,
  endedAt: row.ended_at,
  endReason: row.end_reason,
  verdict: row.verdict,
});

const json = (value: object | null): string | null => (value === null ? null : JSON.stringify(value));

const patchColumns = (patch: ExperimentPatch): Updateable<Tables["experiment"]> => ({
  ...(patch.control === undefined ? {} : { control: JSON.stringify(patch.control) }),
  ...(patch.treatment === undefined ? {} : { treatment: JSON.stringify(patch.treatment) }),
  ...(patch.stage === undefined ? {} : { stage: patch.stage }),
  ...(patch.stageAt === undefined ? {} : { stage_at: patch.stageAt }),
  ...(patch.state === undefined ? {} : { state: patch.state }),
  ...(patch.evidence === undefined ? {} : { evidence: json(patch.evidence) }),
  ...(patch.deciding === undefined ? {} : { deciding: patch.deciding === null ? null : [...patch.deciding] }),
  ...(patch.winner === undefined ? {} : { winner: patch.winner }),
  ...(patch.endedAt === undefined ? {} : { ended_at: patch.endedAt }),
  ...(patch.endReason === undefined ? {} : { end_reason: patch.endReason }),
  ...(patch.verdict === undefined ? {} : { verdict: json(patch.verdict) }),
});

/** Each hand-over is an element of its own, so that adding needs no reading. */
const packLatencies = ({ latencies }: ArmCounters): string => JSON.stringify([Object.fromEntries(latencies)]);

const unpackLatencies = (parts: readonly Readonly<Record<string, number>>[]): ReadonlyMap<number, number> => {
  const all = new Map<number, number>();
  for (const part of parts) {
    for (const [bucket, count] of Object.entries(part)) all.set(Number(bucket), (all.get(Number(bucket)) ?? 0) + count);
  }
  return all;
};

export const experimentRepository = (db: Database, installationId: number): ExperimentRepository => ({
  async insert(experiment) {
    const row = await db
      .insertInto("experiment")
      .values({
        id: experiment.id,
        installation_id: installationId,
        table_schema: experiment.table.schema,
        table_name: experiment.table.name,
        table_oid: experiment.tableOid,
        kind: experiment.kind,
        exposure: experiment.exposure,
        control: JSON.stringify(experiment.control),
        treatment: JSON.stringify(experiment.treatment),
        stages: [...experiment.stages],
        stage: experiment.stage,
        stage_at: experiment.stageAt,
        actor: experiment.actor,
        evidence: json(experiment.evidence),
        deciding: experiment.deciding === null ? null : [...experiment.deciding],
        winner: experiment.winner,
        unit: experiment.unit,
        metric: experiment.metric,
        margin: experiment.margin,
        alpha: experiment.alpha,
        block_ms: experiment.blockMs,
        max_ms: experiment.maxMs,
        state: experiment.state,
        created_at: experiment.createdAt,
        ended_at: experiment.endedAt,
        end_reason: experiment.endReason,
        verdict: json(experiment.verdict),
        ground: null,
        ground_at: experiment.createdAt,
        attended_at: null,
      })
      .onConflict((conflict) =>
        conflict.columns(["installation_id", "table_oid"]).where("ended_at", "is", null).doNothing(),
      )
      .returningAll()
      .executeTakeFirst();
    return row === undefined ? null : fromRow(row);
  },

  async get(id) {
    const row = await db
      .selectFrom("experiment")
      .selectAll()
      .where("installation_id", "=", installationId)
      .where("id", "=", id)
      .executeTakeFirst();
    return row === undefined ? null : fromRow(row);
  },

  async list() {
    const rows = await db
      .selectFrom("experiment")
      .selectAll()
      .where("installation_id", "=", installationId)
      .orderBy("number")
      .execute();
    return rows.map(fromRow);
  },

  async open() {
    const rows = await db
      .selectFrom("experiment")
      .selectAll()
      .where("installation_id", "=", installationId)
      .where("ended_at", "is", null)
      .orderBy("number")
      .execute();
    return rows.map(fromRow);
  },

  advance(known, patch, decision) {
    return db.transaction().execute(async (transaction) => {
      const row = await transaction
        .updateTable("experiment")
        .set(patchColumns(patch))
        .where("installation_id", "=", installationId)
        .where("id", "=", known.id)
        .where("state", "=", known.state)
        .where("stage", "=", known.stage)
        .returningAll()
        .executeTakeFirst();
      if (row === undefined) return null;
      if (decision !== undefined) await decisionRepository(transaction, installationId).record(decision);
      return fromRow(row);
    });
  },

  add(id, windows) {
    return db.transaction().execute(async (transaction) => {
      const running = await transaction
        .selectFrom("experiment")
        .select("id")
        .where("installation_id", "=", installationId)
        .where("id", "=", id)
        .where("state", "=", "running")
        .executeTakeFirst();
      if (running === undefined || windows.length === 0) return;
      // In one order everywhere, so that processes that hand over at once do not wait for one another in a circle.
      const ordered = windows.toSorted((a, b) => a.slot - b.slot || (a.arm < b.arm ? -1 : 1));
      await transaction
        .insertInto("experiment_window")
        .values(
          ordered.map(({ arm, slot, share, units, failedUnits }) => ({
            experiment_id: id,
            arm,
            slot,
            share,
            units,
            failed_units: failedUnits,
          })),
        )
        .onConflict((conflict) =>
          conflict.columns(["experiment_id", "slot", "arm"]).doUpdateSet({
            share: sql<number | null>`case when experiment_window.share = excluded.share then excluded.share end`,
            units: sql<number>`experiment_window.units + excluded.units`,
            failed_units: sql<number>`experiment_window.failed_units + excluded.failed_units`,
          }),
        )
        .execute();
      const statements = ordered.flatMap(({ arm, slot, statements: counted }) =>
        [...counted]
          .toSorted(([a], [b]) => (a < b ? -1 : 1))
          .map(([fingerprint, of]) => ({
            experiment_id: id,
            arm,
            slot,
            fingerprint,
            calls: of.calls,
            total_ms: of.totalMs,
            rows: of.rows,
            latencies: packLatencies(of),
          })),
      );
      if (statements.length === 0) return;
      await transaction
        .insertInto("experiment_statement")
        .values(statements)
        .onConflict((conflict) =>
          conflict.columns(["experiment_id", "slot", "arm", "fingerprint"]).doUpdateSet({
            calls: sql<number>`experiment_statement.calls + excluded.calls`,
            total_ms: sql<number>`experiment_statement.total_ms + excluded.total_ms`,
            rows: sql<number>`experiment_statement.rows + excluded.rows`,
            latencies: sql<string>`experiment_statement.latencies || excluded.latencies`,
          }),
        )
        .execute();
    });
  },

  async readWindows(id, { latencies: isWanted }) {
    const windows = await db
      .selectFrom("experiment_window")
      .selectAll()
      .where("experiment_id", "=", id)
      .orderBy("slot")
      .execute();
    const counted = await db
      .selectFrom("experiment_statement")
      .select(["arm", "slot", "fingerprint", "calls", "total_ms", "rows"])
      .$if(isWanted, (query) => query.select("latencies"))
      .where("experiment_id", "=", id)
      .execute();
    const voids = await db
      .selectFrom("experiment_void")
      .selectAll()
      .where("experiment_id", "=", id)
      .orderBy("from_at")
      .execute();
    const key = ({ arm, slot }: { readonly arm: string; readonly slot: string }): string => `${arm} ${slot}`;
    const byWindow = new Map<string, Map<string, ArmCounters>>();
    for (const row of counted) {
      const of = byWindow.get(key(row)) ?? new Map<string, ArmCounters>();
      byWindow.set(key(row), of);
      of.set(row.fingerprint, {
        calls: Number(row.calls),
        totalMs: row.total_ms,
        rows: Number(row.rows),
        latencies: unpackLatencies(row.latencies ?? []),
      });
    }
    return {
      windows: windows.map((row) => ({
        arm: row.arm,
        slot: Number(row.slot),
        share: row.share,
        units: Number(row.units),
        failedUnits: Number(row.failed_units),
        statements: byWindow.get(key(row)) ?? new Map<string, ArmCounters>(),
      })),
      voids: voids.map((row) => ({ from: row.from_at, to: row.to_at, reason: row.reason })),
    };
  },

  async ground(id) {
    const row = await db
      .selectFrom("experiment")
      .select(["ground", "ground_at"])
      .where("installation_id", "=", installationId)
      .where("id", "=", id)
      .executeTakeFirstOrThrow();
    return row.ground === null ? null : { ground: row.ground, at: row.ground_at };
  },

  setGround(id, ground, at, broken) {
    return db.transaction().execute(async (transaction) => {
      await transaction
        .updateTable("experiment")
        .set({ ground: JSON.stringify(ground), ground_at: at })
        .where("installation_id", "=", installationId)
        .where("id", "=", id)
        .execute();
      if (broken === null) return;
      await transaction
        .insertInto("experiment_void")
        .values({ experiment_id: id, from_at: broken.from, to_at: broken.to, reason: broken.reason })
        .execute();
    });
  },

  async attend(id) {
    await db
      .updateTable("experiment")
      .set({ attended_at: sql<Date>`clock_timestamp()` })
      .where("installation_id", "=", installationId)
      .where("id", "=", id)
      .execute();
  },

  async attended(withinMs) {
    const rows = await db
      .selectFrom("experiment")
      .select("id")
      .where("installation_id", "=", installationId)
      .where("ended_at", "is", null)
      .where(sql<boolean>`attended_at > clock_timestamp() - make_interval(secs => ${withinMs / 1000})`)
      .execute();
    return new Set(rows.map(({ id }) => id));
  },

  async sayFollowing({ process, application, role, stands }) {
    const says = { application, role, seen_at: sql<Date>`clock_timestamp()`, stands: JSON.stringify(stands) };
    await db
      .insertInto("experiment_follower")
      .values({ process, installation_id: installationId, ...says })
      .onConflict((conflict) => conflict.column("process").doUpdateSet(says))
      .execute();
  },

  async followers(withinMs) {
    const rows = await db
      .selectFrom("experiment_follower")
      .select(["process", "application", "stands"])
      .select(sql<number>`extract(epoch from clock_timestamp() - seen_at)::float8 * 1000`.as("silentMs"))
      .where("installation_id", "=", installationId)
      .where(sql<boolean>`seen_at > clock_timestamp() - make_interval(secs => ${withinMs / 1000})`)
      .orderBy("process")
      .execute();
    return rows;
  },

  async endFollowing(process) {
    await db.deleteFrom("experiment_follower").where("process", "=", process).execute();
  },
});
