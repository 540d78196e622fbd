import type { Catalog, Column, ColumnStatistics, ExistingIndex, Table, TableAccess } from "../src/domain/index.ts";

export const table = (name: string) => ({ schema: "public", name });

export const statistics = (distinct: number, averageWidth = 4): ColumnStatistics => ({
  inherited: false,
  nullFraction: 0,
  averageWidth,
  distinct,
  mostCommonValues: null,
  mostCommonFrequencies: null,
  histogramBounds: null,
  correlation: null,
  mostCommonElements: null,
  mostCommonElementFrequencies: null,
  elementCountHistogram: null,
});

export const column = (name: string, changes: Partial<Column> = {}): Column => ({
  attnum: 1,
  name,
  type: "integer",
  typeOid: 23,
  baseType: "int4",
  notNull: true,
  maxBytes: 4,
  ordered: true,
  collation: null,
  generated: null,
  identity: false,
  statistics: statistics(100),
  inheritedStatistics: null,
  statisticsTarget: null,
  ...changes,
});

let lastOid = 0;

export const existing = (
  name: string,
  keys: readonly (string | null)[],
  changes: Partial<ExistingIndex> = {},
): ExistingIndex => ({
  oid: (lastOid += 1),
  schema: "public",
  name,
  definition: `create index ${name}`,
  method: "btree",
  keys,
  directions: keys.map(() => "asc" as const),
  nulls: keys.map(() => "last" as const),
  include: [],
  plainKeys: keys.every((key) => key !== null),
  unique: false,
  primary: false,
  valid: true,
  constraint: null,
  exclusion: false,
  replicaIdentity: false,
  clustered: false,
  extensionOwned: false,
  predicate: null,
  sizeBytes: 1_000_000,
  pages: 122,
  tuples: 100_000,
  scans: 1,
  comment: null,
  parentOid: null,
  ...changes,
});

export const bigTable = (name: string, columns: readonly Column[], changes: Partial<Table> = {}): Table => ({
  ...table(name),
  oid: 1,
  kind: "table",
  persistence: "permanent",
  owner: "owner",
  tuples: 100_000,
  pages: 1_000,
  allVisiblePages: 1_000,
  blocks: 1_000,
  columns: columns.map((one, position) => ({ ...one, attnum: position + 1 })),
  indexes: [],
  foreignKeys: [],
  activity: null,
  storageParameters: [],
  parents: [],
  partitionBound: null,
  partitionKey: null,
  rowLevelSecurity: false,
  ...changes,
});

export const catalog = (tables: readonly Table[]): Catalog => ({
  server: {
    systemIdentifier: "1",
    host: "localhost",
    port: 5432,
    database: "shop",
    databaseOid: 5,
    versionNum: 150_000,
    node: "primary",
  },
  encoding: "UTF8",
  collate: "C",
  ctype: "C",
  plannerSettings: {},
  schemas: ["public"],
  extensions: [],
  enums: [],
  domains: [],
  tables,
  views: [],
  extendedStatistics: [],
});

export const access = (name: string, changes: Partial<TableAccess> = {}): TableAccess => ({
  table: table(name),
  alias: name,
  equality: [],
  range: [],
  join: [],
  order: [],
  group: [],
  limited: false,
  referenced: null,
  written: [],
  ...changes,
});
