import { sql } from "kysely";
import type { Block, ServerIdentity, Statement, StatementCounters, TableCounters } from "../domain/index.ts";
import type { Database } from "./database.ts";

/** What is remembered of a statement: its shape and its scope, no values. */
export type StoredStatement = Pick<Statement, "id" | "fingerprint" | "queryId" | "label" | "text" | "verb" | "scope">;

interface ObservedBlock extends Block {
  readonly node: ServerIdentity["node"];
}

export interface ObservationRepository {
  /**
   * Stores a block with the statements it counts, in one transaction. Statements that came from files are refused: their texts hold literals.
   * `parserMajor`: major version of the parser that made the fingerprints.
   * @returns the block's id
   */
  saveBlock(block: Block, statements: readonly StoredStatement[], parserMajor: number): Promise<string>;
  /**
   * Blocks that ended within [from, to], oldest first, and the statements they count. Unbounded where left out. `only`: of the counters those of these statements
   * (`Statement.id`) and of this table (OID); weeks of all of them take gigabytes.
   */
  readBlocks(wanted?: {
    readonly from?: Date;
    readonly to?: Date;
    readonly only?: { readonly statements: readonly string[]; readonly table: number };
  }): Promise<{
    readonly blocks: readonly ObservedBlock[];
    readonly statements: readonly StoredStatement[];
  }>;
  /** The statements of these shapes, of whatever scope, by id. */
  readStatements(fingerprints: readonly string[]): Promise<readonly StoredStatement[]>;
}

/** Rows per INSERT: 11 parameters each, well below the protocol's 65 535. */
const CHUNK = 1000;

const chunks = <T>(values: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(values.length / CHUNK) }, (_, i) => values.slice(i * CHUNK, (i + 1) * CHUNK));

const scopeKey = (scope: Statement["scope"]): string => JSON.stringify([scope.role, scope.searchPath]);

type Transaction = Parameters<Parameters<ReturnType<Database["transaction"]>["execute"]>[0]>[0];

/** The ids of the scopes, made where missing. */
const scopeIds = async (
  transaction: Transaction,
  installationId: number,
  node: ServerIdentity["node"],
  statements: readonly StoredStatement[],
): Promise<ReadonlyMap<string, number>> => {
  const scopes = new Map(statements.map((statement) => [scopeKey(statement.scope), statement.scope]));
  const ids = new Map<string, number>();
  for (const [key, scope] of [...scopes].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const row = await transaction
      .insertInto("observation_scope")
      .values({ installation_id: installationId, role: scope.role, search_path: [...scope.searchPath], node })
      // An update that changes nothing, so that the existing row's id comes back.
      .onConflict((conflict) =>
        conflict
          .columns(["installation_id", "role", "search_path", "node"])
          .doUpdateSet({ role: sql<string>`excluded.role` }),
      )
      .returning("id")
      .executeTakeFirstOrThrow();
    ids.set(key, row.id);
  }
  return ids;
};

const saveStatements = async (
  transaction: Transaction,
  scopes: ReadonlyMap<string, number>,
  statements: readonly StoredStatement[],
  parserMajor: number,
  seenAt: Date,
): Promise<ReadonlyMap<string, number>> => {
  const scopeOf = new Map<string, number>();
  const rows = statements.map((statement) => {
    const scopeId = scopes.get(scopeKey(statement.scope));
    if (scopeId === undefined) throw new Error(`the scope of ${statement.id} was not stored`);
    scopeOf.set(statement.id, scopeId);
    return {
      scope_id: scopeId,
      id: statement.id,
      fingerprint: statement.fingerprint,
      parser_major: parserMajor,
      query_id: statement.queryId,
      label: statement.label,
      text: statement.text,
      verb: statement.verb,
      first_seen: seenAt,
      last_seen: seenAt,
    };
  });
  rows.sort((a, b) => a.scope_id - b.scope_id || (a.id < b.id ? -1 : 1));
  for (const some of chunks(rows)) {
    await transaction
      .insertInto("statement")
      .values(some)
      .onConflict((conflict) =>
        conflict.columns(["scope_id", "id"]).doUpdateSet({
          query_id: sql<string | null>`excluded.query_id`,
          parser_major: sql<number>`excluded.parser_major`,
          last_seen: sql<Date>`greatest(statement.last_seen, excluded.last_seen)`,
        }),
      )
      .execute();
  }
  return scopeOf;
};

const counterColumns = (counters: StatementCounters) => ({
  calls: counters.calls,
  total_ms: counters.totalMs,
  stddev_ms: counters.stddevMs,
  rows: counters.rows,
  shared_blocks_hit: counters.sharedBlocksHit,
  shared_blocks_read: counters.sharedBlocksRead,
  temp_blocks: counters.tempBlocks,
  wal_bytes: counters.walBytes,
});

const selectStatements = (db: Database) =>
  db
    .selectFrom("statement")
    .innerJoin("observation_scope as scope", "scope.id", "statement.scope_id")
    .select(["statement.id", "fingerprint", "query_id", "label", "text", "verb", "role", "search_path"])
    .orderBy("statement.id");

const fromRow = (
  row: Awaited<ReturnType<ReturnType<typeof selectStatements>["executeTakeFirstOrThrow"]>>,
): StoredStatement => ({
  id: row.id,
  fingerprint: row.fingerprint,
  queryId: row.query_id,
  label: row.label,
  text: row.text,
  verb: row.verb,
  scope: { role: row.role, searchPath: row.search_path },
});

export const observationRepository = (
  db: Database,
  installationId: number,
  node: ServerIdentity["node"],
): ObservationRepository => ({
  saveBlock(block, statements, parserMajor) {
    for (const statement of statements) {
      if (statement.queryId === null)
        throw new Error(`statement ${statement.id} was not observed: its text may hold literals`);
    }
    const known = statements.filter((statement) => block.statements.has(statement.id));
    if (known.length < block.statements.size) throw new Error("a block counts statements that were not handed over");
    return db.transaction().execute(async (transaction) => {
      const scopes = await scopeIds(transaction, installationId, node, known);
      const scopeOf = await saveStatements(transaction, scopes, known, parserMajor, block.endedAt);
      const { id } = await transaction
        .insertInto("block")
        .values({
          installation_id: installationId,
          node,
          started_at: block.startedAt,
          ended_at: block.endedAt,
          void_reason: block.voidReason,
        })
        .returning("id")
        .executeTakeFirstOrThrow();
      const rows = [...block.statements].map(([statementId, counters]) => ({
        block_id: id,
        scope_id: scopeOf.get(statementId) ?? 0,
        statement_id: statementId,
        ...counterColumns(counters),
      }));
      for (const some of chunks(rows)) await transaction.insertInto("block_statement").values(some).execute();
      const written = [...(block.tables ?? [])].map(([tableOid, { inserted, updated, hotUpdated, deleted }]) => ({
        block_id: id,
        table_oid: tableOid,
        inserted,
        updated,
        hot_updated: hotUpdated,
        deleted,
      }));
      for (const some of chunks(written)) await transaction.insertInto("block_table").values(some).execute();
      return id;
    });
  },

  async readBlocks({ from, to, only } = {}) {
    let query = db.selectFrom("block").selectAll().where("installation_id", "=", installationId);
    if (from !== undefined) query = query.where("ended_at", ">=", from);
    if (to !== undefined) query = query.where("ended_at", "<=", to);
    const found = await query.orderBy("ended_at").orderBy("id").execute();
    if (found.length === 0) return { blocks: [], statements: [] };
    const ids = found.map((row) => row.id);
    const isWanted = only === undefined ? null : sql<string>`any(${only.statements}::text[])`;
    let counters = db
      .selectFrom("block_statement")
      .selectAll()
      .where("block_id", "=", sql<string>`any(${ids}::bigint[])`);
    if (isWanted !== null) counters = counters.where("statement_id", "=", isWanted);
    const counted = await counters.execute();
    const byBlock = new Map<string, Map<string, StatementCounters>>(ids.map((id) => [id, new Map()]));
    for (const row of counted) {
      byBlock.get(row.block_id)?.set(row.statement_id, {
        calls: Number(row.calls),
        totalMs: row.total_ms,
        stddevMs: row.stddev_ms,
        rows: Number(row.rows),
        sharedBlocksHit: Number(row.shared_blocks_hit),
        sharedBlocksRead: Number(row.shared_blocks_read),
        tempBlocks: Number(row.temp_blocks),
        walBytes: Number(row.wal_bytes),
      });
    }
    let rowsWritten = db
      .selectFrom("block_table")
      .selectAll()
      .where("block_id", "=", sql<string>`any(${ids}::bigint[])`);
    if (only !== undefined) rowsWritten = rowsWritten.where("table_oid", "=", only.table);
    const written = await rowsWritten.execute();
    const tablesOf = new Map<string, Map<number, TableCounters>>(ids.map((id) => [id, new Map()]));
    for (const row of written) {
      tablesOf.get(row.block_id)?.set(row.table_oid, {
        inserted: Number(row.inserted),
        updated: Number(row.updated),
        hotUpdated: Number(row.hot_updated),
        deleted: Number(row.deleted),
      });
    }
    let shapes = selectStatements(db).where((on) =>
      on.exists(
        on
          .selectFrom("block_statement")
          .select("block_id")
          .whereRef("block_statement.scope_id", "=", "statement.scope_id")
          .whereRef("block_statement.statement_id", "=", "statement.id")
          .where("block_id", "=", sql<string>`any(${ids}::bigint[])`),
      ),
    );
    if (isWanted !== null) shapes = shapes.where("statement.id", "=", isWanted);
    return {
      blocks: found.map((row) => ({
        node: row.node,
        startedAt: row.started_at,
        endedAt: row.ended_at,
        voidReason: row.void_reason,
        statements: byBlock.get(row.id) ?? new Map<string, StatementCounters>(),
        tables: tablesOf.get(row.id) ?? new Map<number, TableCounters>(),
      })),
      statements: (await shapes.execute()).map(fromRow),
    };
  },

  async readStatements(fingerprints) {
    const rows = await selectStatements(db)
      .where("installation_id", "=", installationId)
      .where("fingerprint", "=", sql<string>`any(${fingerprints}::text[])`)
      .execute();
    return rows.map(fromRow);
  },
});
