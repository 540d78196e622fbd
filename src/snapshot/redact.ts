import type { Catalog, ColumnStatistics, ExtendedStatisticsData } from "../domain/index.ts";

/** What is left of a column's statistics: shares, counts and widths, no value. Named one by one, so that what is new is left out. */
const withoutValues = (statistics: ColumnStatistics | null): ColumnStatistics | null =>
  statistics === null
    ? null
    : {
        inherited: statistics.inherited,
        nullFraction: statistics.nullFraction,
        averageWidth: statistics.averageWidth,
        distinct: statistics.distinct,
        correlation: statistics.correlation,
        mostCommonValues: null,
        // Frequencies mean nothing to the planner without the values they belong to.
        mostCommonFrequencies: null,
        histogramBounds: null,
        mostCommonElements: null,
        mostCommonElementFrequencies: null,
        elementCountHistogram: null,
      };

const withoutExtendedValues = (row: ExtendedStatisticsData): ExtendedStatisticsData => ({
  inherited: row.inherited,
  distinct: row.distinct,
  dependencies: row.dependencies,
  mostCommonValues: null,
  ...(row.expressions === undefined ? {} : { expressions: row.expressions.map(withoutValues) }),
});

/**
 * The catalogue without any value of the data: no most common values, no histograms, no multi-column MCV lists. Names and definitions stay, and with
 * them the constants written in CHECK constraints, index predicates, partition bounds, policies, functions and labels of enums.
 */
export const redactCatalog = (catalog: Catalog): Catalog => ({
  ...catalog,
  tables: catalog.tables.map((table) => ({
    ...table,
    columns: table.columns.map((column) => ({
      ...column,
      statistics: withoutValues(column.statistics),
      inheritedStatistics: withoutValues(column.inheritedStatistics),
    })),
    indexes: table.indexes.map(({ expressionStatistics, ...index }) => ({
      ...index,
      ...(expressionStatistics === undefined
        ? {}
        : {
            expressionStatistics: expressionStatistics.flatMap(({ column, statistics }) => {
              const rest = withoutValues(statistics);
              return rest === null ? [] : [{ column, statistics: rest }];
            }),
          }),
    })),
  })),
  extendedStatistics: catalog.extendedStatistics.map(({ data, ...statistics }) => ({
    ...statistics,
    ...(data === undefined ? {} : { data: data.map(withoutExtendedValues) }),
  })),
});
