import type { Table } from "../../domain/index.ts";
import type { Session } from "../session.ts";
import { readColumns } from "./columns.ts";
import { readChecks, readForeignKeys, readParents } from "./constraints.ts";
import { readIndexes } from "./indexes.ts";
import { isUserSchema } from "./scope.ts";
import type { Managed } from "./managed.ts";
import { readPolicies } from "./roles.ts";
import { readColumnStatistics } from "./statistics.ts";

interface TableRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: "r" | "p" | "m";
  readonly persistence: "p" | "u";
  readonly owner: string;
  readonly tuples: number;
  readonly pages: number;
  readonly all_visible_pages: number;
  readonly blocks: string;
  readonly storage_parameters: string[];
  readonly partition_bound: string | null;
  readonly partition_key: string | null;
  readonly row_level_security: boolean;
  readonly forced_row_level_security: boolean;
  readonly has_activity: boolean;
  readonly inserts: string;
  readonly updates: string;
  readonly hot_updates: string;
  readonly deletes: string;
  readonly sequential_scans: string;
  readonly modifications: string;
  readonly analyzed: boolean;
  readonly live_tuples: string;
}

const statement = `
select c.oid, n.nspname as schema, c.relname as name, c.relkind as kind, c.relpersistence as persistence,
       pg_get_userbyid(c.relowner) as owner, c.reltuples as tuples, c.relpages as pages, c.relallvisible as all_visible_pages,
       coalesce(pg_relation_size(c.oid), 0) / current_setting('block_size')::bigint as blocks,
       coalesce(c.reloptions, '{}') as storage_parameters,
       pg_get_expr(c.relpartbound, c.oid) as partition_bound,
       case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end as partition_key,
       c.relrowsecurity as row_level_security, c.relforcerowsecurity as forced_row_level_security,
       s.relid is not null as has_activity, s.n_tup_ins as inserts, s.n_tup_upd as updates, s.n_tup_hot_upd as hot_updates,
       s.n_tup_del as deletes, s.seq_scan as sequential_scans, s.n_mod_since_analyze as modifications,
       coalesce(s.last_analyze, s.last_autoanalyze) is not null as analyzed,
       s.n_live_tup as live_tuples
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_stat_all_tables s on s.relid = c.oid and c.relkind <> 'p'
 where c.relkind in ('r', 'p', 'm') and c.relpersistence <> 't' and ${isUserSchema("n.nspname")}
 order by c.oid`;

const kinds = { r: "table", p: "partitioned", m: "materialized view" } as const;

const activityOf = (row: TableRow): Table["activity"] =>
  row.has_activity
    ? {
        inserts: Number(row.inserts),
        updates: Number(row.updates),
        hotUpdates: Number(row.hot_updates),
        deletes: Number(row.deletes),
        sequentialScans: Number(row.sequential_scans),
        modificationsSinceAnalyze: Number(row.modifications),
        analyzed: row.analyzed,
        liveTuples: Number(row.live_tuples),
      }
    : null;

/**
 * Tables with all that belongs to them, in the order they were made. Takes ACCESS SHARE on each relation for an instant (its size);
 * needs SELECT on the tables for their statistics (pg_read_all_data).
 */
export const readTables = async (session: Session, managed: Managed): Promise<Table[]> => {
  const rows = await session.query<TableRow>(statement);
  const statistics = await readColumnStatistics(session);
  const columns = await readColumns(session, statistics.of);
  const indexes = await readIndexes(session, statistics);
  const foreignKeys = await readForeignKeys(session);
  const checks = await readChecks(session);
  const parents = await readParents(session);
  const policies = await readPolicies(session);
  return rows.map((row) => ({
    schema: row.schema,
    name: row.name,
    oid: row.oid,
    kind: kinds[row.kind],
    persistence: row.persistence === "u" ? "unlogged" : "permanent",
    owner: row.owner,
    tuples: row.tuples,
    pages: row.pages,
    allVisiblePages: row.all_visible_pages,
    blocks: Number(row.blocks),
    columns: columns.get(row.oid) ?? [],
    indexes: indexes.get(row.oid) ?? [],
    foreignKeys: foreignKeys.get(row.oid) ?? [],
    activity: activityOf(row),
    storageParameters: row.storage_parameters,
    parents: parents.get(row.oid) ?? [],
    partitionBound: row.partition_bound,
    partitionKey: row.partition_key,
    rowLevelSecurity: row.row_level_security,
    forcedRowLevelSecurity: row.forced_row_level_security,
    policies: policies.get(row.oid) ?? [],
    managedBy: managed.tables.get(row.oid) ?? null,
    checks: checks.get(row.oid) ?? [],
  }));
};
