import type { ServerIdentity } from "./identity.ts";
import type { TableName } from "./index-definition.ts";

/** One row of `pg_stats`, with PostgreSQL's own text for every value. Contains real data values. */
export interface ColumnStatistics {
  readonly inherited: boolean;
  readonly nullFraction: number;
  /** Bytes. */
  readonly averageWidth: number;
  /** `n_distinct` as PostgreSQL stores it: > 0 a count, < 0 minus the fraction of rows, 0 unknown. */
  readonly distinct: number;
  /** Raw array literals, ready for `array_in`; null where the slot is absent. */
  readonly mostCommonValues: string | null;
  readonly mostCommonFrequencies: readonly number[] | null;
  readonly histogramBounds: string | null;
  readonly correlation: number | null;
  readonly mostCommonElements: string | null;
  readonly mostCommonElementFrequencies: readonly number[] | null;
  readonly elementCountHistogram: readonly number[] | null;
  /** Ranges and multiranges only, and only where the role may read `pg_statistic` (pg_read_all_data may). */
  readonly ranges?: RangeStatistics;
}

/** The two histograms of a range column; array literals of `double precision` and of the range type. */
export interface RangeStatistics {
  readonly emptyFraction: number | null;
  readonly lengths: string | null;
  readonly bounds: string | null;
}

export interface Column {
  readonly attnum: number;
  readonly name: string;
  /** `format_type(atttypid, atttypmod)`. */
  readonly type: string;
  readonly typeOid: number;
  /** The base type's name without length, schema or domain, e.g. `int4`, `text`, `_text`, `numeric`. */
  readonly baseType: string;
  readonly notNull: boolean;
  /** The most bytes a stored value can take; null when the type sets no bound (text, jsonb, numeric without precision…). */
  readonly maxBytes: number | null;
  /** Whether the type has a default B-tree operator class. */
  readonly ordered: boolean;
  /** Collation by name (`schema.name`), null where the type has none; `default` for the database's. */
  readonly collation: string | null;
  /** Stored generated and virtual columns: the expression, and which. */
  readonly generated: { readonly kind: "stored" | "virtual"; readonly expression: string } | null;
  readonly identity: boolean;
  /** The row with `inherited = false`, or null when the table was never analysed or cannot be read. */
  readonly statistics: ColumnStatistics | null;
  /** The row with `inherited = true` of partitioned and inheritance parents. */
  readonly inheritedStatistics: ColumnStatistics | null;
  /** Per-column statistics target; null = default. */
  readonly statisticsTarget: number | null;
}

/** An index as the catalogue has it. */
export interface ExistingIndex {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** `pg_get_indexdef(oid)`. */
  readonly definition: string;
  readonly method: string;
  /** Key columns in order; null where the key is an expression. */
  readonly keys: readonly (string | null)[];
  readonly directions: readonly ("asc" | "desc")[];
  readonly nulls: readonly ("first" | "last")[];
  readonly include: readonly string[];
  /** True where every key uses its type's default operator class and the column's own collation. */
  readonly plainKeys: boolean;
  readonly unique: boolean;
  readonly primary: boolean;
  readonly valid: boolean;
  /** `pg_constraint.conname` where a constraint owns the index. */
  readonly constraint: string | null;
  readonly exclusion: boolean;
  /** `pg_get_constraintdef` of the constraint that owns the index. */
  readonly constraintDefinition?: string | null;
  readonly replicaIdentity: boolean;
  readonly clustered: boolean;
  readonly extensionOwned: boolean;
  /** `pg_get_expr(indpred)`. */
  readonly predicate: string | null;
  readonly sizeBytes: number;
  readonly pages: number;
  readonly tuples: number;
  readonly scans: number;
  readonly comment: string | null;
  /** The parent index of a partition's index. */
  readonly parentOid: number | null;
  /** Pages of a GIN index's list of pending entries; absent where the extension pgstattuple is not there to tell. */
  readonly pendingPages?: number;
  /** Statistics of the index's own expressions, by the name `pg_attribute` gives each; absent where there are none. */
  readonly expressionStatistics?: readonly { readonly column: string; readonly statistics: ColumnStatistics }[];
}

export interface ForeignKey {
  readonly name: string;
  readonly columns: readonly string[];
  readonly referenced: TableName;
  readonly referencedColumns: readonly string[];
}

/** Cumulative counters of `pg_stat_user_tables`. */
export interface TableActivity {
  readonly inserts: number;
  readonly updates: number;
  readonly hotUpdates: number;
  readonly deletes: number;
  readonly sequentialScans: number;
  readonly modificationsSinceAnalyze: number;
  /** Whether they know of an ANALYZE; false also after a crash, a failover or a reset. */
  readonly analyzed: boolean;
  readonly liveTuples: number;
}

export interface Table extends TableName {
  readonly oid: number;
  readonly kind: "table" | "partitioned" | "materialized view";
  readonly persistence: "permanent" | "unlogged";
  readonly owner: string;
  /** `pg_class.reltuples`, −1 when never analysed. */
  readonly tuples: number;
  /** `pg_class.relpages` (what the planner's density is computed from). */
  readonly pages: number;
  readonly allVisiblePages: number;
  /** The file's present length in blocks, which the planner reads from storage. */
  readonly blocks: number;
  readonly columns: readonly Column[];
  readonly indexes: readonly ExistingIndex[];
  readonly foreignKeys: readonly ForeignKey[];
  readonly activity: TableActivity | null;
  readonly storageParameters: readonly string[];
  /** For partitions and inheritance children. */
  readonly parents: readonly TableName[];
  /** `FOR VALUES …` of a partition. */
  readonly partitionBound: string | null;
  /** `pg_get_partkeydef` of a partitioned table. */
  readonly partitionKey: string | null;
  readonly rowLevelSecurity: boolean;
  /** Row-level security holds for the owner, too. */
  readonly forcedRowLevelSecurity?: boolean;
  readonly policies?: readonly Policy[];
  /** A hypertable (and its chunks) or a distributed table: plans and DDL are the extension's business; advise, never write. */
  readonly managedBy?: "timescaledb" | "citus" | null;
  /** `pg_get_constraintdef` of the table's own CHECK constraints, which the planner uses to leave out inheritance children. */
  readonly checks?: readonly { readonly name: string; readonly definition: string }[];
}

/** A row-level security policy; expressions as `pg_get_expr` writes them. */
export interface Policy {
  readonly name: string;
  readonly permissive: boolean;
  readonly command: "all" | "select" | "insert" | "update" | "delete";
  /** Empty means everybody. */
  readonly roles: readonly string[];
  readonly using: string | null;
  readonly check: string | null;
}

export interface Role {
  readonly name: string;
  /** Superuser or BYPASSRLS. */
  readonly bypassesRowSecurity: boolean;
  /** Roles whose privileges it has without SET ROLE; predefined roles left out. */
  readonly memberOf: readonly string[];
  /** Planner settings that `alter role … set` gives its sessions in this database. */
  readonly settings: Readonly<Record<string, string>>;
}

export interface EnumType extends TableName {
  readonly labels: readonly string[];
}

export interface DomainType extends TableName {
  readonly baseType: string;
  readonly notNull: boolean;
  /** Qualified and quoted, where it is not the base type's own. */
  readonly collation?: string | null;
  readonly checks?: readonly { readonly name: string; readonly definition: string }[];
}

/** A type with input and output functions of its own, in C as a rule: how `pg_type` says it is stored. */
export interface BaseType extends TableName {
  /** Bytes, −1 for variable length. */
  readonly length: number;
  readonly byValue: boolean;
  readonly alignment: "char" | "int2" | "int4" | "double";
  readonly storage: "plain" | "main" | "extended" | "external";
}

/** A collation, composite or range type, operator, cast and the like, as the statement that makes it. */
export interface SchemaObject {
  readonly kind:
    | "collation"
    | "type"
    | "aggregate"
    | "operator"
    | "cast"
    | "operator class"
    | "text search dictionary"
    | "text search configuration";
  /** For people: `schema.name`, with argument types where they matter. Collations: quoted. */
  readonly name: string;
  readonly definition: string;
}

/** A function that returns something else than a trigger, and that no extension made. */
export interface Routine {
  /** For people: `schema.name(argument types)`. */
  readonly name: string;
  readonly language: string;
  readonly volatility: "immutable" | "stable" | "volatile";
  /** The statement that makes it, up to the body. */
  readonly header: string;
  /** What follows the header; null for languages other than SQL and PL/pgSQL. */
  readonly body: string | null;
}

export interface ExtendedStatistics extends TableName {
  readonly table: TableName;
  /** `pg_get_statisticsobjdef`. */
  readonly definition: string;
  /** What ANALYZE found, where the role may read it. Contains real data values. */
  readonly data?: readonly ExtendedStatisticsData[];
}

/** One row of `pg_statistic_ext_data`: hexadecimal bytes, which mean the same on every server of one major version. */
export interface ExtendedStatisticsData {
  readonly inherited: boolean;
  readonly distinct: string | null;
  readonly dependencies: string | null;
  /** Null also where it holds values of user-defined types, whose OIDs mean nothing elsewhere. */
  readonly mostCommonValues: string | null;
  /** There are such values, but they were left out for that reason. */
  readonly ownTypesLeftOut?: boolean;
  /** Of its expressions, in their order; absent where there are none or the role may not read them. */
  readonly expressions?: readonly (ColumnStatistics | null)[];
}

export interface View extends TableName {
  readonly owner?: string;
  /** Options such as `security_barrier=true`. */
  readonly options?: readonly string[];
  readonly definition: string;
}

/** One consistent reading of a target's schema, sizes and planner statistics. */
export interface Catalog {
  readonly server: ServerIdentity;
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
  /** Who sorts: the C library by `collate`, or another provider by its own locale. Absent means the C library. */
  readonly localeProvider?: { readonly name: "icu" | "builtin"; readonly locale: string };
  /** Settings that change plans, by name, as `current_setting` shows them for the observing role. */
  readonly plannerSettings: Readonly<Record<string, string>>;
  readonly schemas: readonly string[];
  /** `bringsTypes`: also types, operators or access methods, so that it matters to plans. */
  readonly extensions: readonly {
    readonly name: string;
    readonly schema: string;
    readonly version: string;
    readonly bringsTypes?: boolean;
  }[];
  readonly enums: readonly EnumType[];
  readonly domains: readonly DomainType[];
  /** Ordinary, partitioned and materialised relations of user schemas, ours left out. */
  readonly tables: readonly Table[];
  /** Since when the tables' {@link TableActivity} counts, as ISO time; null where the server does not know (from 15 on, unless somebody reset the counters). */
  readonly activitySince?: string | null;
  readonly views: readonly View[];
  readonly extendedStatistics: readonly ExtendedStatistics[];
  readonly baseTypes?: readonly BaseType[];
  readonly objects?: readonly SchemaObject[];
  readonly routines?: readonly Routine[];
  /** All but the predefined ones. */
  readonly roles?: readonly Role[];
  /** Those of identity columns left out. */
  readonly sequences?: readonly TableName[];
  readonly foreignTables?: readonly TableName[];
  /** Extensions that take tables over; see {@link Table.managedBy}. */
  readonly managedBy?: readonly ("timescaledb" | "citus")[];
}
