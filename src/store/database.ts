import {
  type ColumnType,
  type Generated,
  type JSONColumnType,
  Kysely,
  PostgresDialect,
  type PostgresPoolClient,
} from "kysely";
import type { Session } from "../postgres/index.ts";
import type {
  BloatMethod,
  ArmName,
  CircuitPhase,
  Decision,
  DeploymentKind,
  DeploymentRationale,
  DeploymentState,
  EvidencePlan,
  Experiment,
  ExperimentArm,
  ExperimentGround,
  ExperimentMetric,
  ExperimentUnit,
  ExperimentVerdict,
  Follower,
  IndexChange,
  IndexDefinition,
  RecordedIndex,
  ReplacedIndex,
  Verb,
  Verdict,
} from "../domain/index.ts";

// The driver returns bigint as text; every number we store stays below 2^53.
type BigInteger = ColumnType<string, number, number>;
type NullableBigInteger = ColumnType<string | null, number | null, number | null>;
type NullableJson<T> = ColumnType<T | null, string | null, string | null>;

/** The schema's tables as the query builder sees them. `migrations/` is what makes them. */
export interface Tables {
  installation: {
    id: Generated<number>;
    system_identifier: string;
    database_oid: number;
    database_name: string;
    host: string;
    port: number;
    installed_at: Generated<Date>;
  };
  deployment: {
    id: string;
    installation_id: number;
    kind: DeploymentKind;
    state: DeploymentState;
    table_schema: string;
    table_name: string;
    table_oid: number;
    definition: string;
    intended: NullableJson<IndexDefinition>;
    recorded: NullableJson<RecordedIndex>;
    replaces: NullableJson<ReplacedIndex>;
    temporary_name: string;
    index_name: string;
    index_oid: number | null;
    backend_pid: number | null;
    backend_started_at: string | null;
    size_bytes: NullableBigInteger;
    predicted_bytes: NullableBigInteger;
    build_ms: number | null;
    verdict: NullableJson<Verdict>;
    rationale: JSONColumnType<DeploymentRationale>;
    part_of: string | null;
    created_at: Date;
    updated_at: Date;
  };
  deployment_event: {
    id: Generated<string>;
    deployment_id: string;
    at: Date;
    from_state: DeploymentState | null;
    to_state: DeploymentState;
    event: string;
    actor: string;
    detail: JSONColumnType<Record<string, unknown>>;
  };
  decision: {
    id: Generated<string>;
    installation_id: number;
    at: Date;
    subject: string;
    deployment_id: string | null;
    rule: string;
    outcome: string;
    code: string;
    reason: string;
    inputs: JSONColumnType<Decision["inputs"]>;
  };
  observation_scope: {
    id: Generated<number>;
    installation_id: number;
    role: string;
    search_path: string[];
    node: "primary" | "replica";
  };
  statement: {
    scope_id: number;
    id: string;
    fingerprint: string;
    parser_major: number;
    query_id: string | null;
    label: string;
    text: string;
    verb: Verb;
    first_seen: Date;
    last_seen: Date;
  };
  block: {
    id: Generated<string>;
    installation_id: number;
    node: "primary" | "replica";
    started_at: Date;
    ended_at: Date;
    void_reason: string | null;
  };
  block_statement: {
    block_id: string;
    scope_id: number;
    statement_id: string;
    calls: BigInteger;
    total_ms: number;
    stddev_ms: number | null;
    rows: BigInteger;
    shared_blocks_hit: BigInteger;
    shared_blocks_read: BigInteger;
    temp_blocks: BigInteger;
    wal_bytes: BigInteger;
  };
  block_table: {
    block_id: string;
    table_oid: number;
    inserted: BigInteger;
    updated: BigInteger;
    hot_updated: BigInteger;
    deleted: BigInteger;
  };
  circuit_breaker: {
    installation_id: number;
    scope: string;
    phase: CircuitPhase;
    failures: number;
    successes: number;
    openings: number;
    retry_at: Date | null;
    trial_since: Date | null;
    last_failure: string | null;
    updated_at: Date;
  };
  adaptive_threshold: {
    installation_id: number;
    name: string;
    samples: number[];
    sampled_at: Date | null;
    holding: boolean;
  };
  counter_reading: {
    installation_id: number;
    taken_at: Date;
    reset_at: Date | null;
    counters: JSONColumnType<PackedCounters>;
  };
  index_series: {
    id: Generated<number>;
    installation_id: number;
    table_oid: number;
    table_schema: string;
    table_name: string;
    schema_name: string;
    index_name: string;
    index_oid: number | null;
  };
  index_version: {
    series_id: number;
    number: number;
    at: Date;
    change: IndexChange;
    definition: string;
    constraint_definition: string | null;
    tablespace: string | null;
    size_bytes: BigInteger;
    actor: "indexpilot" | "others";
    reason: string;
    deployment_id: string | null;
  };
  duty: {
    installation_id: number;
    name: string;
    due_at: Date;
    ended_at: Date | null;
    outcome: string | null;
    failures: number;
  };
  notice: {
    installation_id: number;
    key: string;
    at: Date;
    attempts: number;
    due_at: Date;
    delivered_at: Date | null;
    last_error: string | null;
  };
  index_sample: {
    installation_id: number;
    index_oid: number;
    at: Date;
    file_node: BigInteger;
    size_bytes: BigInteger;
    needed_bytes: NullableBigInteger;
    entries: number | null;
    bloat: number | null;
    method: BloatMethod | null;
    scans: BigInteger;
    replica_scans: JSONColumnType<Readonly<Record<string, number>>>;
    table_writes: BigInteger;
    updates: BigInteger;
    hot_updates: BigInteger;
  };
  index_forecast: {
    installation_id: number;
    index_oid: number;
    file_node: BigInteger;
    made_at: Date;
    due_at: Date;
    value: number;
    low: number;
    high: number;
    achieved: number | null;
  };
  experiment: {
    id: string;
    number: Generated<number>;
    installation_id: number;
    table_schema: string;
    table_name: string;
    table_oid: number;
    kind: Experiment["kind"];
    exposure: Experiment["exposure"];
    control: JSONColumnType<ExperimentArm>;
    treatment: JSONColumnType<ExperimentArm>;
    stages: number[];
    stage: number;
    stage_at: Date;
    actor: string;
    evidence: NullableJson<EvidencePlan>;
    deciding: string[] | null;
    winner: ArmName | null;
    unit: ExperimentUnit;
    metric: ExperimentMetric;
    margin: number;
    alpha: number;
    block_ms: number;
    max_ms: BigInteger;
    state: Experiment["state"];
    created_at: Date;
    ended_at: Date | null;
    end_reason: string | null;
    verdict: ColumnType<ExperimentVerdict | null, string | null, string | null>;
    ground: NullableJson<ExperimentGround>;
    ground_at: Date;
    attended_at: Date | null;
  };
  experiment_window: {
    experiment_id: string;
    arm: ArmName;
    slot: BigInteger;
    share: number | null;
    units: BigInteger;
    failed_units: BigInteger;
  };
  experiment_statement: {
    experiment_id: string;
    arm: ArmName;
    slot: BigInteger;
    fingerprint: string;
    calls: BigInteger;
    total_ms: number;
    rows: BigInteger;
    latencies: JSONColumnType<readonly Readonly<Record<string, number>>[]>;
  };
  experiment_follower: {
    process: string;
    installation_id: number;
    application: string;
    role: string;
    seen_at: Date;
    stands: JSONColumnType<Follower["stands"]>;
  };
  experiment_void: { experiment_id: string; from_at: Date; to_at: Date; reason: string };
  stop_switch: { installation_id: number; stopped_at: Date; stopped_by: string; reason: string };
  scan_ledger: { installation_id: number; index_oid: number; scans: BigInteger; updated_at: Date };
}

/** By role and query id: calls, total ms, standard deviation, rows, blocks hit and read, temporary blocks, WAL bytes, counting since. */
export type PackedCounters = Readonly<
  Record<string, readonly [number, number, number | null, number, number, number, number, number, string | null]>
>;

export type Database = Kysely<Tables>;

/**
 * The query builder over one session. A "pool" of one connection that callers take in turn, so that the statements of a transaction never
 * mix with others; errors are the session's.
 */
export const databaseOver = (session: Session): Database => {
  let turn: Promise<void> = Promise.resolve();
  const connect = async (): Promise<PostgresPoolClient> => {
    const before = turn;
    let release = (): void => undefined;
    turn = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    const query = async (sql: unknown, parameters: readonly unknown[] = []) => {
      if (typeof sql !== "string") throw new TypeError("the store uses no cursors");
      // Counts of changed rows are read with `returning`, so the command tag is not needed.
      const rows = await session.query(sql, parameters);
      return { command: "SELECT", rowCount: rows.length, rows };
    };
    return { query: query as PostgresPoolClient["query"], release };
  };
  const dialect = new PostgresDialect({ pool: { connect, end: () => Promise.resolve() } });
  return new Kysely<Tables>({ dialect }).withSchema("indexpilot");
};
