import { type Selectable, sql } from "kysely";
import type {
  ArmCounters,
  ArmWindow,
  Experiment,
  ExperimentGround,
  ExperimentVerdict,
  VoidStretch,
} from "../domain/index.ts";
import type { Database, Tables } from "./database.ts";

export interface ExperimentRepository {
  /** Gives it its number. @returns null where another one runs on that table */
  insert(experiment: Omit<Experiment, "number">, ground: ExperimentGround): Promise<Experiment | null>;
  get(id: string): Promise<Experiment | null>;
  /** Oldest first. */
  list(): Promise<readonly Experiment[]>;
  /** Only where it still runs. @returns the experiment as it now is, or null when another process was quicker */
  end(
    id: string,
    end: {
      readonly state: "decided" | "stopped";
      readonly at: Date;
      readonly reason: string;
      readonly verdict: ExperimentVerdict;
    },
  ): Promise<Experiment | null>;
  /** Adds to what is there of the same windows. Takes only what an experiment that runs has seen. */
  add(id: string, windows: readonly ArmWindow[]): Promise<void>;
  readWindows(id: string): Promise<{ readonly windows: readonly ArmWindow[]; readonly voids: readonly VoidStretch[] }>;
  /** What the arms stood on when it was last looked at. */
  ground(id: string): Promise<{ readonly ground: ExperimentGround; readonly at: Date }>;
  /** Sets it anew; where it is another one, the stretch in which it changed is void. */
  setGround(id: string, ground: ExperimentGround, at: Date, broken: VoidStretch | null): Promise<void>;
}

const fromRow = (row: Selectable<Tables["experiment"]>): Experiment => ({
  id: row.id,
  number: row.number,
  table: { schema: row.table_schema, name: row.table_name },
  tableOid: row.table_oid,
  control: { definition: row.control_definition },
  treatment: { definition: row.treatment_definition },
  treatmentShare: row.treatment_share,
  unit: row.unit,
  metric: row.metric,
  margin: row.margin,
  alpha: row.alpha,
  blockMs: row.block_ms,
  maxMs: Number(row.max_ms),
  state: row.state,
  createdAt: row.created_at,
  endedAt: row.ended_at,
  endReason: row.end_reason,
  verdict: row.verdict,
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
  async insert(experiment, ground) {
    const row = await db
      .insertInto("experiment")
      .values({
        id: experiment.id,
        installation_id: installationId,
        table_schema: experiment.table.schema,
        table_name: experiment.table.name,
        table_oid: experiment.tableOid,
        control_definition: experiment.control.definition,
        treatment_definition: experiment.treatment.definition,
        treatment_share: experiment.treatmentShare,
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
        verdict: null,
        ground: JSON.stringify(ground),
        ground_at: experiment.createdAt,
      })
      .onConflict((conflict) =>
        conflict.columns(["installation_id", "table_oid"]).where("state", "=", "running").doNothing(),
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

  async end(id, { state, at, reason, verdict }) {
    const row = await db
      .updateTable("experiment")
      .set({ state, ended_at: at, end_reason: reason, verdict: JSON.stringify(verdict) })
      .where("installation_id", "=", installationId)
      .where("id", "=", id)
      .where("state", "=", "running")
      .returningAll()
      .executeTakeFirst();
    return row === undefined ? null : fromRow(row);
  },

  add(id, windows) {
    return db.transaction().execute(async (transaction) => {
      const running = await transaction
        .selectFrom("experiment")
        .select("id")
        .where("installation_id", "=", installationId)
        .where("id", "=", id)
        .where("state", "=", "running")
        .forShare()
        .executeTakeFirst();
      if (running === undefined || windows.length === 0) return;
      // In one order everywhere, so that processes that hand over at once do not wait for one another in a circle.
      const ordered = windows.toSorted((a, b) => a.slot - b.slot || (a.arm < b.arm ? -1 : 1));
      await transaction
        .insertInto("experiment_window")
        .values(
          ordered.map(({ arm, slot, units, failedUnits }) => ({
            experiment_id: id,
            arm,
            slot,
            units,
            failed_units: failedUnits,
          })),
        )
        .onConflict((conflict) =>
          conflict.columns(["experiment_id", "slot", "arm"]).doUpdateSet({
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

  async readWindows(id) {
    const windows = await db
      .selectFrom("experiment_window")
      .selectAll()
      .where("experiment_id", "=", id)
      .orderBy("slot")
      .execute();
    const counted = await db.selectFrom("experiment_statement").selectAll().where("experiment_id", "=", id).execute();
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
        latencies: unpackLatencies(row.latencies),
      });
    }
    return {
      windows: windows.map((row) => ({
        arm: row.arm,
        slot: Number(row.slot),
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
    return { ground: row.ground, at: row.ground_at };
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
});
