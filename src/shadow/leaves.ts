import { closeSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import type { Session } from "../postgres/index.ts";
import { PAGE_BYTES } from "../sizes/index.ts";
import type { EndPoints } from "./end-points.ts";
import { OWN_SCHEMA } from "./objects.ts";

// Builds a copy of each index over a two-row table of its columns, without their constraints; the other columns are null. PostgreSQL writes a new
// index to its file at once, so that its leaf (block 1) can be read there.
const install = `
create function pg_temp.make_leaves(given jsonb) returns table (oid oid, path text)
language plpgsql as $function$
declare
  g record; scratch text; columns text; keys text; included text; first_type text;
begin
  for g in select * from jsonb_to_recordset(given) as g (oid oid, lowest text, highest text) loop
    scratch := '${OWN_SCHEMA}.i' || g.oid;
    select string_agg(format('c%s %I.%I%s', n, tn.nspname, t.typname,
                             case when l.oid is not null then format(' collate %I.%I', ln.nspname, l.collname) end), ', ' order by n),
           string_agg(format('c%s%s%s', n, case when x.indoption[n]::int & 1 = 1 then ' desc' end,
                             case when x.indoption[n]::int & 2 = 2 then ' nulls first' else ' nulls last' end), ', ' order by n)
             filter (where n < x.indnkeyatts),
           string_agg('c' || n, ', ' order by n) filter (where n >= x.indnkeyatts),
           min(format('%I.%I', tn.nspname, t.typname)) filter (where n = 0)
      into columns, keys, included, first_type
      from pg_index x
      cross join generate_series(0, x.indnatts - 1) n
      join pg_attribute a on a.attrelid = x.indrelid and a.attnum = x.indkey[n]
      join pg_type t on t.oid = pg_temp.base_type(a.atttypid)
      join pg_namespace tn on tn.oid = t.typnamespace
      left join pg_collation l on l.oid = a.attcollation and l.collname <> 'default'
      left join pg_namespace ln on ln.oid = l.collnamespace
     where x.indexrelid = g.oid;
    begin
      execute format('create table %s (%s)', scratch, columns);
      execute format('insert into %s (c0) values ($1::%s), ($2::%s)', scratch, first_type, first_type) using g.lowest, g.highest;
      execute format('create index leaf_%s on %s (%s)%s', g.oid, scratch, keys, ' include (' || included || ')');
      oid := g.oid;
      path := pg_relation_filepath(('${OWN_SCHEMA}.leaf_' || g.oid)::regclass);
      return next;
    exception when others then null; -- A value that cannot be read here: the planner then takes the histogram's ends.
    end;
  end loop;
end $function$`;

export const installLeaves = async (session: Session): Promise<void> => {
  await session.script(install);
};

/** A leaf page with the two ends, by the index's OID in the shadow. Their table's rows are said to be in block 0. */
export type Leaves = ReadonlyMap<number, Buffer>;

export const makeLeaves = async (
  session: Session,
  dataDirectory: string,
  wanted: readonly { readonly oid: number; readonly ends: EndPoints }[],
): Promise<Leaves> => {
  if (wanted.length === 0) return new Map();
  const given = wanted.map(({ oid, ends }) => ({ oid, lowest: ends.lowest, highest: ends.highest }));
  const rows = await session.query<{ oid: number; path: string }>("select oid, path from pg_temp.make_leaves($1)", [
    JSON.stringify(given),
  ]);
  const leaves = new Map(rows.map(({ oid, path }) => [oid, readLeaf(join(dataDirectory, path))] as const));
  await session.script(
    `do $do$ declare t record; begin
       for t in select oid::regclass::text as name from pg_class
                 where relnamespace = '${OWN_SCHEMA}'::regnamespace and relkind = 'r' loop
         execute 'drop table ' || t.name;
       end loop;
     end $do$`,
  );
  return leaves;
};

const readLeaf = (file: string): Buffer => {
  const descriptor = openSync(file, "r");
  try {
    const page = Buffer.alloc(PAGE_BYTES);
    readSync(descriptor, page, 0, PAGE_BYTES, PAGE_BYTES);
    return page;
  } finally {
    closeSync(descriptor);
  }
};
