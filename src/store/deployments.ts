import { type Selectable, sql, type Updateable } from "kysely";
import type { BegunRebuild, Deployment, DeploymentEvent, DeploymentState, ServerIdentity } from "../domain/index.ts";
import type { Session } from "../postgres/index.ts";
import type { Database, Tables } from "./database.ts";

/** What a step may learn about a deployment. */
export type DeploymentPatch = Partial<
  Pick<Deployment, "definition" | "indexName" | "indexOid" | "backend" | "sizeBytes" | "buildMs" | "verdict">
>;

export interface Transition {
  readonly from: DeploymentState;
  readonly to: DeploymentState;
  readonly event: string;
  /** Who caused it: a role, a person, `indexpilot`. */
  readonly actor: string;
  readonly at: Date;
  readonly detail?: Readonly<Record<string, unknown>>;
  readonly patch?: DeploymentPatch;
}

export interface DeploymentRepository {
  /** Stores a new deployment and the first row of its history. */
  insert(deployment: Deployment, origin: { readonly event: string; readonly actor: string }): Promise<void>;
  get(id: string): Promise<Deployment | null>;
  /** Oldest first. */
  list(filter?: { readonly states?: readonly DeploymentState[] }): Promise<readonly Deployment[]>;
  /** The parts of a deployment on a partitioned table, one for each partition; oldest first. */
  parts(id: string): Promise<readonly Deployment[]>;
  /** By the index's name, oldest first. Names repeat: over time, and between schemas. */
  findByIndexName(indexName: string): Promise<readonly Deployment[]>;
  /**
   * Compare and set: changes the state only where it still is `from`, and writes the history row in the same transaction.
   * @returns the deployment as it now is, or null when another process was quicker
   */
  transition(id: string, transition: Transition): Promise<Deployment | null>;
  /**
   * Takes over what is known better now about an intention that was not begun; no step of its life.
   * @returns the deployment as it now is, or null when it was begun or ended meanwhile
   */
  revise(
    id: string,
    change: Partial<Pick<Deployment, "rationale" | "predictedBytes" | "replaces">>,
  ): Promise<Deployment | null>;
  /** Who approved it last; null where nobody did. */
  approvedBy(id: string): Promise<string | null>;
  /** Oldest first. */
  history(id?: string): Promise<readonly DeploymentEvent[]>;
  /** When the builds on a table, or on any (null), were begun, since a point in time. That of a partitioned table is one. */
  buildsBegun(tableOid: number | null, since: Date): Promise<readonly Date[]>;
  /** Rebuilds that an actor began since a point in time, each time it was tried, oldest first. */
  rebuildsBegun(actor: string, since: Date): Promise<readonly BegunRebuild[]>;
  /** Ids of those whose index was finished and is not in the catalogue any more. */
  gone(): Promise<ReadonlySet<string>>;
  /** Bytes of the indexes of ours that exist or are being built (measured, else predicted), on one table or on all. */
  ownedBytes(within?: { readonly tableOid: number } | { readonly schema: string }): Promise<number>;
}

const finishedStates = ["verifying", "promoting", "settled", "retiring", "rolling_back"] as const;

/**
 * Whether the catalogue has the index of a deployment no more: by its OID, or by our comment, which goes along when REINDEX CONCURRENTLY gives it another OID. A
 * partitioned table's index has no OID before its parts are attached.
 */
const isGone = sql<boolean>`(deployment.index_oid is not null and not exists (
  select from pg_catalog.pg_index i
   where i.indrelid = deployment.table_oid
     and (i.indexrelid = deployment.index_oid
          or pg_catalog.obj_description(i.indexrelid, 'pg_class') = 'indexpilot:' || deployment.id)))`;

const nullableJson = (value: object | null): string | null => (value === null ? null : JSON.stringify(value));

const whole = (bytes: number | null): number | null => (bytes === null ? null : Math.round(bytes));

const fromRow = (row: Selectable<Tables["deployment"]>): Deployment => ({
  id: row.id,
  kind: row.kind,
  state: row.state,
  table: { schema: row.table_schema, name: row.table_name },
  tableOid: row.table_oid,
  definition: row.definition,
  intended: row.intended,
  recorded: row.recorded,
  replaces: row.replaces,
  temporaryName: row.temporary_name,
  indexName: row.index_name,
  indexOid: row.index_oid,
  backend:
    row.backend_pid === null || row.backend_started_at === null
      ? null
      : { pid: row.backend_pid, startedAt: row.backend_started_at },
  sizeBytes: row.size_bytes === null ? null : Number(row.size_bytes),
  predictedBytes: row.predicted_bytes === null ? null : Number(row.predicted_bytes),
  buildMs: row.build_ms,
  verdict: row.verdict,
  rationale: row.rationale,
  ...(row.part_of === null ? {} : { partOf: row.part_of }),
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

const patchColumns = (patch: DeploymentPatch): Updateable<Tables["deployment"]> => ({
  ...(patch.definition === undefined ? {} : { definition: patch.definition }),
  ...(patch.indexName === undefined ? {} : { index_name: patch.indexName }),
  ...(patch.indexOid === undefined ? {} : { index_oid: patch.indexOid }),
  ...(patch.backend === undefined
    ? {}
    : { backend_pid: patch.backend?.pid ?? null, backend_started_at: patch.backend?.startedAt ?? null }),
  ...(patch.sizeBytes === undefined ? {} : { size_bytes: patch.sizeBytes }),
  ...(patch.buildMs === undefined ? {} : { build_ms: patch.buildMs }),
  ...(patch.verdict === undefined ? {} : { verdict: nullableJson(patch.verdict) }),
});

export const deploymentRepository = (db: Database, installationId: number): DeploymentRepository => {
  const ours = () => db.selectFrom("deployment").selectAll("deployment").where("installation_id", "=", installationId);
  return {
    async insert(deployment, origin) {
      await db.transaction().execute(async (transaction) => {
        await transaction
          .insertInto("deployment")
          .values({
            id: deployment.id,
            installation_id: installationId,
            kind: deployment.kind,
            state: deployment.state,
            table_schema: deployment.table.schema,
            table_name: deployment.table.name,
            table_oid: deployment.tableOid,
            definition: deployment.definition,
            intended: nullableJson(deployment.intended),
            recorded: nullableJson(deployment.recorded),
            replaces: nullableJson(deployment.replaces),
            temporary_name: deployment.temporaryName,
            index_name: deployment.indexName,
            index_oid: deployment.indexOid,
            backend_pid: deployment.backend?.pid ?? null,
            backend_started_at: deployment.backend?.startedAt ?? null,
            size_bytes: deployment.sizeBytes,
            predicted_bytes: whole(deployment.predictedBytes),
            build_ms: deployment.buildMs,
            verdict: nullableJson(deployment.verdict),
            rationale: JSON.stringify(deployment.rationale),
            part_of: deployment.partOf ?? null,
            created_at: deployment.createdAt,
            updated_at: deployment.updatedAt,
          })
          .execute();
        await transaction
          .insertInto("deployment_event")
          .values({
            deployment_id: deployment.id,
            at: deployment.createdAt,
            from_state: null,
            to_state: deployment.state,
            event: origin.event,
            actor: origin.actor,
            detail: JSON.stringify({}),
          })
          .execute();
      });
    },
    async get(id) {
      const row = await ours().where("id", "=", id).executeTakeFirst();
      return row === undefined ? null : fromRow(row);
    },
    async list(filter = {}) {
      let query = ours();
      if (filter.states !== undefined) query = query.where("state", "in", [...filter.states]);
      return (await query.orderBy("created_at").orderBy("id").execute()).map(fromRow);
    },
    async parts(id) {
      return (await ours().where("part_of", "=", id).orderBy("created_at").orderBy("id").execute()).map(fromRow);
    },
    async findByIndexName(indexName) {
      return (await ours().where("index_name", "=", indexName).orderBy("created_at").execute()).map(fromRow);
    },
    transition(id, step) {
      return db.transaction().execute(async (transaction) => {
        const row = await transaction
          .updateTable("deployment")
          .set({ ...patchColumns(step.patch ?? {}), state: step.to, updated_at: step.at })
          .where("id", "=", id)
          .where("installation_id", "=", installationId)
          .where("state", "=", step.from)
          .returningAll()
          .executeTakeFirst();
        if (row === undefined) return null;
        await transaction
          .insertInto("deployment_event")
          .values({
            deployment_id: id,
            at: step.at,
            from_state: step.from,
            to_state: step.to,
            event: step.event,
            actor: step.actor,
            detail: JSON.stringify(step.detail ?? {}),
          })
          .execute();
        return fromRow(row);
      });
    },
    async revise(id, { rationale, predictedBytes, replaces }) {
      const row = await db
        .updateTable("deployment")
        .set({
          ...(rationale === undefined ? {} : { rationale: JSON.stringify(rationale) }),
          ...(predictedBytes === undefined ? {} : { predicted_bytes: whole(predictedBytes) }),
          ...(replaces === undefined ? {} : { replaces: nullableJson(replaces) }),
        })
        .where("id", "=", id)
        .where("installation_id", "=", installationId)
        .where("state", "in", ["proposed", "approved"])
        .returningAll()
        .executeTakeFirst();
      return row === undefined ? null : fromRow(row);
    },
    async approvedBy(id) {
      const row = await db
        .selectFrom("deployment_event")
        .select("actor")
        .where("deployment_id", "=", id)
        .where("event", "=", "approve")
        .orderBy("id", "desc")
        .limit(1)
        .executeTakeFirst();
      return row?.actor ?? null;
    },
    async history(id) {
      let query = db
        .selectFrom("deployment_event")
        .innerJoin("deployment", "deployment.id", "deployment_event.deployment_id")
        .selectAll("deployment_event")
        .where("deployment.installation_id", "=", installationId);
      if (id !== undefined) query = query.where("deployment_id", "=", id);
      const rows = await query.orderBy("deployment_event.id").execute();
      return rows.map((row) => ({
        deploymentId: row.deployment_id,
        at: row.at,
        from: row.from_state,
        to: row.to_state,
        event: row.event,
        actor: row.actor,
        detail: row.detail,
      }));
    },
    async buildsBegun(tableOid, since) {
      let query = db
        .selectFrom("deployment_event")
        .innerJoin("deployment", "deployment.id", "deployment_event.deployment_id")
        .select("deployment_event.at")
        .where("deployment.installation_id", "=", installationId);
      if (tableOid !== null) query = query.where("deployment.table_oid", "=", tableOid);
      const rows = await query
        .where("deployment.part_of", "is", null)
        .where("deployment_event.from_state", "!=", "building")
        .where("deployment_event.to_state", "=", "building")
        .where("deployment_event.at", ">=", since)
        .orderBy("deployment_event.at")
        .execute();
      return rows.map((row) => row.at);
    },
    async rebuildsBegun(actor, since) {
      const rows = await db
        .selectFrom("deployment_event")
        .innerJoin("deployment", "deployment.id", "deployment_event.deployment_id")
        .select(["deployment_event.deployment_id", "deployment_event.at", "deployment.replaces"])
        .where("deployment.installation_id", "=", installationId)
        .where("deployment.kind", "=", "reindex")
        .where("deployment_event.event", "=", "begin")
        .where("deployment_event.actor", "=", actor)
        .where("deployment_event.at", ">=", since)
        .orderBy("deployment_event.at")
        .execute();
      return rows.map((row) => ({
        deploymentId: row.deployment_id,
        at: row.at,
        sizeBytes: row.replaces?.sizeBytes ?? 0,
      }));
    },
    async gone() {
      const rows = await db
        .selectFrom("deployment")
        .select("id")
        .where("installation_id", "=", installationId)
        .where("state", "in", [...finishedStates])
        .where(isGone)
        .execute();
      return new Set(rows.map(({ id }) => id));
    },
    async ownedBytes(within) {
      let query = db
        .selectFrom("deployment")
        .select((of) => of.fn.sum<string | null>(of.fn.coalesce("size_bytes", "predicted_bytes")).as("bytes"))
        .where("installation_id", "=", installationId)
        .where((is) =>
          is.or([is("state", "=", "building"), is.and([is("state", "in", [...finishedStates]), is.not(isGone)])]),
        )
        // A partitioned table's index is its parts.
        .where((is) =>
          is.not(
            is.exists(
              is.selectFrom("deployment as part").select("part.id").whereRef("part.part_of", "=", "deployment.id"),
            ),
          ),
        );
      if (within !== undefined) {
        query =
          "schema" in within
            ? query.where("table_schema", "=", within.schema)
            : query.where("table_oid", "=", within.tableOid);
      }
      const row = await query.executeTakeFirst();
      return Number(row?.bytes ?? 0);
    },
  };
};

/**
 * What was built in this database and how it fared, oldest first, over a session that only observes; null where there is no store for it, or the session's
 * role may not read it. Reads only.
 */
export const observeDeployments = async (
  session: Session,
  server: ServerIdentity,
): Promise<readonly Pick<Deployment, "kind" | "indexName" | "rationale" | "verdict">[] | null> => {
  // Through the catalogue, because `to_regclass` fails without USAGE on the schema.
  const [found] = await session.query<{ readable: boolean }>(
    `select pg_catalog.has_schema_privilege(n.oid, 'usage')
            and coalesce((select bool_and(pg_catalog.has_table_privilege(c.oid, 'select')) and count(*) = 2
                            from pg_catalog.pg_class c
                           where c.relnamespace = n.oid and c.relname in ('installation', 'deployment')), false) as readable
       from pg_catalog.pg_namespace n where n.nspname = 'indexpilot'`,
  );
  if (found?.readable !== true) return null;
  const rows = await session.query<{
    kind: Deployment["kind"];
    index_name: string;
    rationale: Deployment["rationale"];
    verdict: Deployment["verdict"];
  }>(
    `select d.kind, d.index_name, d.rationale, d.verdict
       from indexpilot.deployment d join indexpilot.installation i on i.id = d.installation_id
      where i.system_identifier = $1 and i.database_oid = $2
      order by d.created_at, d.id`,
    [server.systemIdentifier, server.databaseOid],
  );
  return rows.map(({ kind, index_name: indexName, rationale, verdict }) => ({ kind, indexName, rationale, verdict }));
};
