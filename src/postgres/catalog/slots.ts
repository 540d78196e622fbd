import type { ColumnStatistics, RangeStatistics } from "../../domain/index.ts";
import type { Session } from "../session.ts";
import { isUserSchema } from "./scope.ts";

// pg_statistic keeps each kind of statistics in any of five slots (STATISTIC_KIND_… in pg_statistic.h).
const slot = (kind: number, column: "stavalues" | "stanumbers"): string =>
  `case ${String(kind)} ${[1, 2, 3, 4, 5].map((n) => `when x.stakind${String(n)} then x.${column}${String(n)}`).join(" ")} end`;

const rangeColumns = `
       (${slot(6, "stanumbers")})[1] as empty_fraction, (${slot(6, "stavalues")})::text as lengths, (${slot(7, "stavalues")})::text as bounds`;

interface RangeColumns {
  readonly empty_fraction: number | null;
  readonly lengths: string | null;
  readonly bounds: string | null;
}

const toRanges = (row: RangeColumns): RangeStatistics | undefined =>
  row.lengths === null && row.bounds === null
    ? undefined
    : { emptyFraction: row.empty_fraction, lengths: row.lengths, bounds: row.bounds };

/** pg_stats shows nothing of these before 17. */
const rangeStatement = `
select n.nspname as schema, c.relname as relation, a.attname as "column", x.stainherit as inherited,${rangeColumns}
  from pg_statistic x
  join pg_class c on c.oid = x.starelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = x.starelid and a.attnum = x.staattnum
 where 7 in (x.stakind1, x.stakind2, x.stakind3, x.stakind4, x.stakind5) and ${isUserSchema("n.nspname")}`;

const mayRead = async (session: Session, catalog: "pg_statistic" | "pg_statistic_ext_data"): Promise<boolean> => {
  const [access] = await session.query<{ readable: boolean }>(
    `select has_table_privilege('${catalog}', 'select') as readable`,
  );
  return access?.readable === true;
};

/** Statistics of range columns by schema, relation, column and inheritance; empty for a role that may not read `pg_statistic`. */
export const readRangeStatistics = async (
  session: Session,
): Promise<(schema: string, relation: string, column: string, inherited: boolean) => RangeStatistics | undefined> => {
  const found = new Map<string, RangeStatistics | undefined>();
  if (await mayRead(session, "pg_statistic")) {
    for (const row of await session.query<
      RangeColumns & { schema: string; relation: string; column: string; inherited: boolean }
    >(rangeStatement)) {
      found.set(JSON.stringify([row.schema, row.relation, row.column, row.inherited]), toRanges(row));
    }
  }
  return (...key) => found.get(JSON.stringify(key));
};

interface ExpressionRow extends RangeColumns {
  readonly oid: number;
  readonly inherited: boolean;
  readonly place: string;
  readonly null_fraction: number | null;
  readonly average_width: number;
  readonly distinct: number;
  readonly common_values: string | null;
  readonly common_frequencies: number[] | null;
  readonly histogram: string | null;
  readonly correlation: number | null;
  readonly common_elements: string | null;
  readonly element_frequencies: number[] | null;
  readonly element_counts: number[] | null;
}

// pg_stats_ext_exprs shows these to the table's owner only. The last three of most common elements' frequencies are bounds, as in pg_stats.
const expressionStatement = (versionNum: number): string => `
select d.stxoid as oid, ${versionNum >= 150_000 ? "d.stxdinherit" : "false"} as inherited, x.ordinality::text as place,
       x.stanullfrac as null_fraction, x.stawidth as average_width, x.stadistinct as "distinct",
       (${slot(1, "stavalues")})::text as common_values, ${slot(1, "stanumbers")} as common_frequencies,
       (${slot(2, "stavalues")})::text as histogram, (${slot(3, "stanumbers")})[1] as correlation,
       (${slot(4, "stavalues")})::text as common_elements, ${slot(4, "stanumbers")} as element_frequencies,
       ${slot(5, "stanumbers")} as element_counts,${rangeColumns}
  from pg_statistic_ext_data d
  join pg_statistic_ext s on s.oid = d.stxoid
  join pg_class c on c.oid = s.stxrelid
  join pg_namespace n on n.oid = c.relnamespace
  cross join lateral unnest(d.stxdexpr) with ordinality x
 where ${isUserSchema("n.nspname")}
 order by d.stxoid, 2, x.ordinality`;

/** Statistics of the expressions of CREATE STATISTICS objects, in their order. Needs SELECT on `pg_statistic_ext_data`. */
export const readExpressionStatistics = async (
  session: Session,
): Promise<(oid: number, inherited: boolean) => readonly (ColumnStatistics | null)[] | undefined> => {
  const found = new Map<string, (ColumnStatistics | null)[]>();
  for (const row of await session.query<ExpressionRow>(expressionStatement(session.versionNum))) {
    const key = `${String(row.oid)} ${String(row.inherited)}`;
    const expressions = found.get(key) ?? [];
    found.set(key, expressions);
    const ranges = toRanges(row);
    expressions.push(
      row.null_fraction === null
        ? null
        : {
            inherited: row.inherited,
            nullFraction: row.null_fraction,
            averageWidth: row.average_width,
            distinct: row.distinct,
            mostCommonValues: row.common_values,
            mostCommonFrequencies: row.common_frequencies,
            histogramBounds: row.histogram,
            correlation: row.correlation,
            mostCommonElements: row.common_elements,
            mostCommonElementFrequencies: row.element_frequencies,
            elementCountHistogram: row.element_counts,
            ...(ranges === undefined ? {} : { ranges }),
          },
    );
  }
  return (oid, inherited) => found.get(`${String(oid)} ${String(inherited)}`);
};
