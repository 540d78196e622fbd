import type { ColumnStatistics } from "../../domain/index.ts";

// pg_statistic keeps each kind of statistics in any of five slots (STATISTIC_KIND_… in pg_statistic.h).
const slot = (kind: number, column: "stavalues" | "stanumbers"): string =>
  `case ${String(kind)} ${[1, 2, 3, 4, 5].map((n) => `when x.stakind${String(n)} then x.${column}${String(n)}`).join(" ")} end`;

/** The columns of a {@link StatisticsRow} from a row `x` of `pg_statistic`, with the values as `pg_stats` would show them. */
export const slotColumns = `
       x.stanullfrac as null_fraction, x.stawidth as average_width, x.stadistinct as "distinct",
       (${slot(1, "stavalues")})::text as common_values, ${slot(1, "stanumbers")} as common_frequencies,
       (${slot(2, "stavalues")})::text as bounds, (${slot(3, "stanumbers")})[1] as correlation,
       (${slot(4, "stavalues")})::text as common_elements, ${slot(4, "stanumbers")} as element_frequencies,
       ${slot(5, "stanumbers")} as element_counts,
       (${slot(6, "stanumbers")})[1] as empty_fraction, (${slot(6, "stavalues")})::text as range_lengths,
       (${slot(7, "stavalues")})::text as range_bounds`;

/** What `pg_stats` shows of the same; of ranges nothing before 17. */
export const viewColumns = (versionNum: number): string => `
       null_frac as null_fraction, avg_width as average_width, n_distinct as "distinct",
       most_common_vals::text as common_values, most_common_freqs as common_frequencies,
       histogram_bounds::text as bounds, correlation,
       most_common_elems::text as common_elements, most_common_elem_freqs as element_frequencies,
       elem_count_histogram as element_counts,
       ${
         versionNum >= 170_000
           ? "range_empty_frac as empty_fraction, range_length_histogram::text as range_lengths, range_bounds_histogram::text as range_bounds"
           : "null::real as empty_fraction, null as range_lengths, null as range_bounds"
       }`;

export interface StatisticsRow {
  readonly inherited: boolean;
  readonly null_fraction: number;
  readonly average_width: number;
  readonly distinct: number;
  readonly common_values: string | null;
  readonly common_frequencies: number[] | null;
  readonly bounds: string | null;
  readonly correlation: number | null;
  readonly common_elements: string | null;
  readonly element_frequencies: number[] | null;
  readonly element_counts: number[] | null;
  readonly empty_fraction: number | null;
  readonly range_lengths: string | null;
  readonly range_bounds: string | null;
}

export const toStatistics = (row: StatisticsRow): ColumnStatistics => ({
  inherited: row.inherited,
  nullFraction: row.null_fraction,
  averageWidth: row.average_width,
  distinct: row.distinct,
  mostCommonValues: row.common_values,
  mostCommonFrequencies: row.common_frequencies,
  histogramBounds: row.bounds,
  correlation: row.correlation,
  mostCommonElements: row.common_elements,
  mostCommonElementFrequencies: row.element_frequencies,
  elementCountHistogram: row.element_counts,
  ...(row.range_lengths === null && row.range_bounds === null
    ? {}
    : {
        ranges: { emptyFraction: row.empty_fraction, lengths: row.range_lengths, bounds: row.range_bounds },
      }),
});
