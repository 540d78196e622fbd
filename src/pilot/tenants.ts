import { namesTenant } from "../candidates/index.ts";
import type { IndexDefinition } from "../domain/index.ts";
import { quoteLiteral, type Session } from "../postgres/index.ts";
import type { Tenants } from "../verification/index.ts";

/** Fewer are no sample of tenants. */
const FEWEST_TENANTS = 20;

/** How the server writes a literal of a type within a comparison; null for types whose writing depends on more. */
const literals: Readonly<Record<string, (value: string) => string | null>> = {
  smallint: (value) => (/^\d+$/.test(value) ? value : null),
  integer: (value) => (/^\d+$/.test(value) ? value : null),
  bigint: (value) => (/^\d+$/.test(value) ? `'${value}'::bigint` : null),
  text: (value) => `${quoteLiteral(value)}::text`,
  uuid: (value) => `${quoteLiteral(value)}::uuid`,
};

/**
 * The first share of the tenants of an index whose leading key says whose row it is, by the values that the statistics know; null where it is no such index, or
 * they know too few. Reads `pg_stats` only.
 */
export const tenantsFor = async (
  session: Session,
  { table, keys, method, where }: IndexDefinition,
  share: number,
): Promise<Tenants | null> => {
  const [key] = keys;
  if (key === undefined || key.expression !== undefined || method !== "btree" || where !== undefined) return null;
  if (!namesTenant(key.column)) return null;
  const names = [table.schema, table.name, key.column];
  const [column] = await session.query<{ type: string }>(
    `select pg_catalog.format_type(a.atttypid, null) as type
       from pg_catalog.pg_attribute a
       join pg_catalog.pg_class c on c.oid = a.attrelid
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relname = $2 and a.attname = $3 and not a.attisdropped`,
    names,
  );
  const write = column === undefined ? undefined : literals[column.type];
  if (column === undefined || write === undefined) return null;
  // The type is one of those above.
  const of = (values: string): string =>
    `select unnest(${values}::text::${column.type}[]) as value from pg_catalog.pg_stats where schemaname = $1 and tablename = $2 and attname = $3`;
  const [found] = await session.query<{ value: string | null; known: number }>(
    `select percentile_disc($4) within group (order by value)::text as value, count(*)::int as known
       from (${of("most_common_vals")} union ${of("histogram_bounds")}) as v`,
    [...names, share],
  );
  if (found === undefined || found.value === null || found.known < FEWEST_TENANTS) return null;
  const upTo = write(found.value);
  return upTo === null ? null : { column: key.column, upTo };
};
