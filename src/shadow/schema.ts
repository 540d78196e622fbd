import { type Catalog, type Column, type ExistingIndex, type Table, type TableName } from "../domain/index.ts";
import { quoteIdentifier, quoteLiteral, quoteName } from "../postgres/index.ts";
import type { Step } from "./attempt.ts";

/** What the embedded server can offer for the catalogue's columns. */
export interface Available {
  /** Type names, as `format_type` writes them, that the server can resolve. */
  readonly types: ReadonlySet<string>;
  /** Collations by `schema.name`, quoted for use. */
  readonly collations: ReadonlyMap<string, string>;
}

/** `kind schema.name`, for people. */
const called = (kind: string, name: TableName): string => `${kind} ${name.schema}.${name.name}`;

/** Schemas and extensions, then enums. */
export const foundationSteps = (catalog: Catalog): Step[] => [
  ...catalog.schemas.map((name) => ({
    object: `schema ${name}`,
    sql: `create schema if not exists ${quoteIdentifier(name)}`,
  })),
  ...catalog.extensions.map(({ name, schema }) => ({
    object: `extension ${name}`,
    sql:
      `create extension if not exists ${quoteIdentifier(name)}` +
      (catalog.schemas.includes(schema) ? ` schema ${quoteIdentifier(schema)}` : ""),
  })),
  ...catalog.enums.map((type) => ({
    object: called("type", type),
    sql: `create type ${quoteName(type)} as enum (${type.labels.map(quoteLiteral).join(", ")})`,
  })),
];

/** Domains; one may be over another. */
export const domainSteps = (catalog: Catalog): Step[] =>
  catalog.domains.map((domain) => ({
    object: called("domain", domain),
    sql: `create domain ${quoteName(domain)} as ${domain.baseType}${domain.notNull ? " not null" : ""}`,
  }));

/** Takes the place of a type that the embedded server lacks; almost no operator accepts it, so that queries which need the type fail. */
const STAND_IN = "bytea";

// Defaults, identity and stored expressions do not change a plan: such a column is an ordinary one here. A virtual column's expression does.
const columnClause = (column: Column, available: Available): string => {
  const type = available.types.has(column.type) ? column.type : STAND_IN;
  const collation = column.collation === null ? undefined : available.collations.get(column.collation);
  const generated =
    column.generated?.kind === "virtual" ? ` generated always as (${column.generated.expression}) virtual` : "";
  return (
    `${quoteIdentifier(column.name)} ${type}` +
    (collation === undefined || type === STAND_IN ? "" : ` collate ${collation}`) +
    generated +
    (column.notNull ? " not null" : "")
  );
};

/** The planner's own among a table's storage parameters. */
const plannerParameters = (table: Table): string[] =>
  table.storageParameters.filter((parameter) => /^(fillfactor|parallel_workers)=\d+$/.test(parameter));

const tableStep = (table: Table, available: Available): Step => {
  const byNumber = new Map(table.columns.map((column) => [column.attnum, column]));
  const last = Math.max(0, ...byNumber.keys());
  // Dropped columns are made and dropped here, too: extended statistics name columns by number.
  const clauses: string[] = [];
  const dropped: string[] = [];
  for (let attnum = 1; attnum <= last; attnum += 1) {
    const column = byNumber.get(attnum);
    if (column !== undefined) clauses.push(columnClause(column, available));
    else {
      const name = quoteIdentifier(`indexpilot dropped ${String(attnum)}`);
      clauses.push(`${name} integer`);
      dropped.push(`drop column ${name}`);
    }
  }
  const parameters = table.kind === "partitioned" ? [] : plannerParameters(table);
  const create =
    `create table ${quoteName(table)} (${clauses.join(", ")})` +
    (table.partitionKey === null ? "" : ` partition by ${table.partitionKey}`) +
    (parameters.length === 0 ? "" : ` with (${parameters.join(", ")})`);
  const drop = dropped.length === 0 ? "" : `; alter table ${quoteName(table)} ${dropped.join(", ")}`;
  return { object: called("table", table), sql: create + drop };
};

/** Tables with their CHECK constraints, then what joins children to parents. */
export const tableSteps = (catalog: Catalog, available: Available): Step[] => {
  const { tables } = catalog;
  return [
    ...tables.map((table) => tableStep(table, available)),
    ...tables.flatMap((table) =>
      (table.checks ?? []).map((check) => ({
        object: `constraint ${check.name} of ${called("table", table)}`,
        sql: `alter table only ${quoteName(table)} add constraint ${quoteIdentifier(check.name)} ${check.definition}`,
      })),
    ),
    ...tables.flatMap((table) =>
      table.parents.map((parent) => ({
        object: `parent of ${called("table", table)}`,
        sql:
          table.partitionBound === null
            ? `alter table ${quoteName(table)} inherit ${quoteName(parent)}`
            : `alter table ${quoteName(parent)} attach partition ${quoteName(table)} ${table.partitionBound}`,
      })),
    ),
  ];
};

const indexSteps = (table: Table, index: ExistingIndex): Step[] => {
  const object = called("index", index);
  const constraint = index.exclusion ? null : index.constraint;
  if (constraint === null) return [{ object, sql: index.definition }];
  const alter = `alter table only ${quoteName(table)} add constraint ${quoteIdentifier(constraint)}`;
  if (table.kind !== "partitioned") {
    const kind = index.primary ? "primary key" : "unique";
    return [
      { object, sql: index.definition },
      { object: `constraint ${constraint}`, sql: `${alter} ${kind} using index ${quoteIdentifier(index.name)}` },
    ];
  }
  // A partitioned table's constraint cannot take over an index. Only a primary key means more to the planner than its index does.
  if (!index.primary) return [{ object, sql: index.definition }];
  const keys = index.keys.flatMap((key) => (key === null ? [] : [quoteIdentifier(key)]));
  const include = index.include.length > 0 ? ` include (${index.include.map(quoteIdentifier).join(", ")})` : "";
  return [{ object, sql: `${alter} primary key (${keys.join(", ")})${include}` }];
};

const indexesThat = (catalog: Catalog, wanted: (index: ExistingIndex) => boolean): Step[] => {
  const byOid = new Map(catalog.tables.flatMap((table) => table.indexes.map((index) => [index.oid, index] as const)));
  const built = catalog.tables.flatMap((table) => table.indexes.filter(wanted).map((index) => ({ table, index })));
  return [
    ...built.flatMap(({ table, index }) => indexSteps(table, index)),
    ...built.flatMap(({ index }) => {
      const parent = index.parentOid === null ? undefined : byOid.get(index.parentOid);
      if (parent === undefined) return [];
      return [
        {
          object: `parent of ${called("index", index)}`,
          sql: `alter index ${quoteName(parent)} attach partition ${quoteName(index)}`,
        },
      ];
    }),
  ];
};

// The check of a new foreign key plans on both tables, so their metapages are in the buffers now: TRUNCATE gives the tables and their indexes
// new files, which no buffer holds a page of (`writeTree` relies on it).
const forgetPlannedFiles = `
do $do$
declare tables text := (select string_agg(c.oid::regclass::text, ', ') from pg_class c
                         where exists (select from pg_constraint f where f.contype = 'f' and c.oid in (f.conrelid, f.confrelid)));
begin
  if tables is not null then execute 'truncate ' || tables; end if;
end $do$`;

/** Unique indexes, then foreign keys. */
export const keySteps = (catalog: Catalog): Step[] => [
  ...indexesThat(catalog, (index) => index.unique),
  ...catalog.tables.flatMap((table) =>
    table.foreignKeys.map((key) => ({
      object: `foreign key ${key.name} of ${called("table", table)}`,
      sql:
        `alter table ${quoteName(table)} add constraint ${quoteIdentifier(key.name)}` +
        ` foreign key (${key.columns.map(quoteIdentifier).join(", ")})` +
        ` references ${quoteName(key.referenced)} (${key.referencedColumns.map(quoteIdentifier).join(", ")})`,
    })),
  ),
  { object: "foreign keys", sql: forgetPlannedFiles },
];

/** All other indexes, and extended statistics. */
export const ordinaryIndexSteps = (catalog: Catalog): Step[] => [
  ...indexesThat(catalog, (index) => !index.unique),
  ...catalog.extendedStatistics.map((object) => ({
    object: called("statistics", object),
    sql: object.definition,
  })),
];

/** Views; one may read another. */
export const viewSteps = (catalog: Catalog): Step[] =>
  catalog.views.map((view) => ({
    object: called("view", view),
    sql: `create view ${quoteName(view)} as ${view.definition}`,
  }));
