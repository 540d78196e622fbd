import { chownSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openSession, quoteIdentifier, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { startDebianServer } from "../../test/whatif/debian-server.ts";

interface Relation {
  readonly schema: string;
  readonly name: string;
  readonly relpages: number;
  readonly reltuples: number;
  readonly relallvisible: number;
  readonly blocks: number;
}

interface Statistics {
  readonly relations: readonly Relation[];
  /** Rows of `pg_stats`: table, column, and its figures. */
  readonly attributes: readonly unknown[];
}

const blockBytes = 8_192;
/** Blocks of one file of a relation; what is beyond is in the next, `<file>.1`. */
const segmentBlocks = 131_072;

/**
 * The statistics of `pg_stats` as rows of `pg_statistic`, with the operators of each type's B-tree order. $1: the attributes as JSON.
 * Needs a superuser; an ANALYZE afterwards would find no rows.
 */
const importSql = `
  insert into pg_statistic
  select c.attrelid, c.attnum, coalesce(s.inherited, false), s.null_frac, s.avg_width, s.n_distinct,
         case when s.most_common_vals is null then 0 else 1 end::int2,
         case when s.histogram_bounds is null then 0 else 2 end::int2,
         case when s.correlation is null then 0 else 3 end::int2, 0::int2, 0::int2,
         case when s.most_common_vals is null then 0 else eq.amopopr end,
         case when s.histogram_bounds is null then 0 else lt.amopopr end,
         case when s.correlation is null then 0 else lt.amopopr end, 0, 0,
         case when s.most_common_vals is null then 0 else c.attcollation end,
         case when s.histogram_bounds is null then 0 else c.attcollation end,
         case when s.correlation is null then 0 else c.attcollation end, 0, 0,
         s.most_common_freqs::float4[], null, case when s.correlation is not null then array[s.correlation] end, null, null,
         case when s.most_common_vals is not null then array_in(s.most_common_vals::cstring, c.atttypid, -1) end,
         case when s.histogram_bounds is not null then array_in(s.histogram_bounds::cstring, c.atttypid, -1) end,
         null, null, null
    from jsonb_to_recordset($1::jsonb) as s("schema" text, "table" text, "column" text, inherited boolean, null_frac float4, avg_width int,
           n_distinct float4, most_common_vals text, most_common_freqs float4[], histogram_bounds text, correlation float4)
    join pg_attribute c on c.attrelid = format('%I.%I', coalesce(s."schema", 'public'), s."table")::regclass and c.attname = s."column"
    join pg_type t on t.oid = c.atttypid
    join lateral (
      select k.opcfamily, k.opcintype
        from pg_opclass k join pg_am m on m.oid = k.opcmethod and m.amname = 'btree'
       where k.opcdefault
         and k.opcintype = case when t.typtype = 'e' then 'anyenum'::regtype
                                when t.typcategory = 'A' then 'anyarray'::regtype
                                when coalesce(nullif(t.typbasetype, 0), t.oid) = 'varchar'::regtype then 'text'::regtype
                                else coalesce(nullif(t.typbasetype, 0), t.oid) end
    ) k on true
    join pg_amop eq on eq.amopfamily = k.opcfamily and eq.amoplefttype = k.opcintype and eq.amoprighttype = k.opcintype and eq.amopstrategy = 3
    join pg_amop lt on lt.amopfamily = k.opcfamily and lt.amoplefttype = k.opcintype and lt.amoprighttype = k.opcintype and lt.amopstrategy = 1`;

/**
 * A server of Debian's PostgreSQL 15 with HypoPG that plans as the described database would: its schema, its statistics, tables of its length without rows.
 * The folder holds `schema.sql` and `statistics.json`. Parallel plans and JIT are off, as they were for the peers.
 */
export const startTarget = async (folder: string): Promise<{ readonly url: string; readonly stop: () => void }> => {
  const server = await startDebianServer();
  const admin = await openSession(resolveConnection(server.url("postgres"), {}), "build");
  await admin.query("create database workload");
  await admin.close();
  const url = server.url("workload");
  const session = await openSession(resolveConnection(url, {}), "build");
  await session.script(readFileSync(join(folder, "schema.sql"), "utf8"));
  await session.script(
    `create extension if not exists hypopg;
     alter database workload set jit = off; alter database workload set max_parallel_workers_per_gather = 0;`,
  );
  const { relations, attributes } = JSON.parse(readFileSync(join(folder, "statistics.json"), "utf8")) as Statistics;
  await session.query(importSql, [JSON.stringify(attributes)]);
  for (const relation of relations) await describe(session, relation, server.dataDirectory);
  await session.close();
  return { url, stop: server.stop };
};

const describe = async (session: Session, relation: Relation, dataDirectory: string): Promise<void> => {
  const { relpages, reltuples, relallvisible, blocks } = relation;
  const name = `${quoteIdentifier(relation.schema)}.${quoteIdentifier(relation.name)}`;
  await session.query(
    "update pg_class set relpages = $2, reltuples = $3, relallvisible = $4 where oid = to_regclass($1)::oid",
    [name, relpages, reltuples, relallvisible],
  );
  const [row] = await session.query<{ path: string }>("select pg_relation_filepath(to_regclass($1)) as path", [name]);
  if (row === undefined) throw new Error(`${name} is in statistics.json and not in schema.sql`);
  const first = join(dataDirectory, row.path);
  const { uid, gid } = statSync(first);
  for (let segment = 0; segment * segmentBlocks < blocks; segment += 1) {
    const file = segment === 0 ? first : `${first}.${String(segment)}`;
    if (segment > 0) {
      writeFileSync(file, "");
      chownSync(file, uid, gid);
    }
    truncateSync(file, Math.min(blocks - segment * segmentBlocks, segmentBlocks) * blockBytes);
  }
};
