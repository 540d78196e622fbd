import type { ColumnStatistics, ExtendedStatistics, ExtendedStatisticsData } from "../../domain/index.ts";
import type { Session } from "../session.ts";
import { isUserSchema } from "./scope.ts";
import { slotColumns, type StatisticsRow, toStatistics } from "./slots.ts";
import { mayRead } from "./statistics.ts";

interface ExtendedRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly table_schema: string;
  readonly table_name: string;
  readonly definition: string;
}

const extendedStatement = `
select s.oid, n.nspname as schema, s.stxname as name, cn.nspname as table_schema, c.relname as table_name,
       pg_get_statisticsobjdef(s.oid) as definition
  from pg_statistic_ext s
  join pg_namespace n on n.oid = s.stxnamespace
  join pg_class c on c.oid = s.stxrelid
  join pg_namespace cn on cn.oid = c.relnamespace
 where c.relpersistence <> 't' and ${isUserSchema("cn.nspname")}
 order by s.oid`;

interface DataRow extends ExtendedStatisticsData {
  readonly oid: number;
}

// 14 keeps one row per object, for the inheritance tree where there is one.
const dataStatement = (versionNum: number): string => `
select s.oid, ${versionNum >= 150_000 ? "d.stxdinherit" : "false"} as inherited,
       encode(d.stxdndistinct::bytea, 'hex') as "distinct",
       encode(d.stxddependencies::bytea, 'hex') as dependencies,
       encode(d.stxdmcv::bytea, 'hex') as "mostCommonValues"
  from pg_statistic_ext s
  join pg_statistic_ext_data d on d.stxoid = s.oid
  join pg_class c on c.oid = s.stxrelid
  join pg_namespace n on n.oid = c.relnamespace
 where ${isUserSchema("n.nspname")}`;

interface ExpressionRow extends Omit<StatisticsRow, "null_fraction"> {
  readonly oid: number;
  readonly null_fraction: number | null;
}

// pg_stats_ext_exprs shows these to the table's owner only.
const expressionStatement = (versionNum: number): string => `
select d.stxoid as oid, ${versionNum >= 150_000 ? "d.stxdinherit" : "false"} as inherited,${slotColumns}
  from pg_statistic_ext_data d
  join pg_statistic_ext s on s.oid = d.stxoid
  join pg_class c on c.oid = s.stxrelid
  join pg_namespace n on n.oid = c.relnamespace
  cross join lateral unnest(d.stxdexpr) with ordinality x
 where ${isUserSchema("n.nspname")}
 order by d.stxoid, inherited, x.ordinality`;

const readExpressionStatistics = async (
  session: Session,
): Promise<(oid: number, inherited: boolean) => readonly (ColumnStatistics | null)[] | undefined> => {
  const found = new Map<string, (ColumnStatistics | null)[]>();
  for (const row of await session.query<ExpressionRow>(expressionStatement(session.versionNum))) {
    const key = `${String(row.oid)} ${String(row.inherited)}`;
    const { null_fraction } = row;
    found.set(key, [
      ...(found.get(key) ?? []),
      null_fraction === null ? null : toStatistics({ ...row, null_fraction }),
    ]);
  }
  return (oid, inherited) => found.get(`${String(oid)} ${String(inherited)}`);
};

/** The first OID of the user's own types; those below are the same on every server of a major. */
const FIRST_USER_OID = 16384;

const domainStatement = `
with recursive domain (oid, base) as (
  select oid, typbasetype from pg_type where typtype = 'd'
  union all
  select d.oid, t.typbasetype from domain d join pg_type t on t.oid = d.base and t.typtype = 'd'
)
select d.oid, d.base from domain d join pg_type t on t.oid = d.base and t.typtype <> 'd'`;

/**
 * Most common values that mean the same elsewhere, or null: a domain's are those of its base type, an enum's are OIDs. MCVList
 * (extended_stats_internal.h) begins with magic, type and number of items, number of dimensions, then each dimension's type.
 */
const portable = (hexadecimal: string, baseOf: ReadonlyMap<number, number>): string | null => {
  const list = Buffer.from(hexadecimal, "hex");
  for (let dimension = 0; dimension < list.readInt16LE(12); dimension += 1) {
    const at = 14 + 4 * dimension;
    const type = list.readUInt32LE(at);
    const base = baseOf.get(type) ?? type;
    if (base >= FIRST_USER_OID) return null;
    list.writeUInt32LE(base, at);
  }
  return list.toString("hex");
};

/** CREATE STATISTICS objects; what ANALYZE found only for a role that may read `pg_statistic_ext_data` (pg_read_all_data may). */
export const readExtendedStatistics = async (session: Session): Promise<ExtendedStatistics[]> => {
  const objects = await session.query<ExtendedRow>(extendedStatement);
  if (objects.length === 0) return [];
  const readable = await mayRead(session, "pg_statistic_ext_data");
  const data = readable ? await session.query<DataRow>(dataStatement(session.versionNum)) : [];
  const domains = readable ? await session.query<{ oid: number; base: number }>(domainStatement) : [];
  const baseOf = new Map(domains.map(({ oid, base }) => [oid, base]));
  const expressionsOf = readable ? await readExpressionStatistics(session) : () => undefined;
  return objects.map((row) => ({
    schema: row.schema,
    name: row.name,
    table: { schema: row.table_schema, name: row.table_name },
    definition: row.definition,
    data: data
      .filter((one) => one.oid === row.oid)
      .map(({ inherited, distinct, dependencies, mostCommonValues }) => {
        const expressions = expressionsOf(row.oid, inherited);
        const values = mostCommonValues === null ? null : portable(mostCommonValues, baseOf);
        return {
          inherited,
          distinct,
          dependencies,
          mostCommonValues: values,
          ...(mostCommonValues !== null && values === null ? { ownTypesLeftOut: true } : {}),
          ...(expressions === undefined ? {} : { expressions }),
        };
      }),
  }));
};
