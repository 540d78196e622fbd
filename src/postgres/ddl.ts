import type { IndexDefinition, IndexKey, IndexMethod, TableName } from "../domain/index.ts";
import { gatePredicate } from "../sql/index.ts";
import { quoteIdentifier, quoteLiteral, quoteName } from "./identifier.ts";

// `pg_get_expr` puts every expression that is not a function call in parentheses of its own; one more pair is always allowed.
const keyTarget = (value: IndexKey): string =>
  value.expression === undefined ? quoteIdentifier(value.column) : `(${value.expression})`;

// Only B-trees are ordered; the other methods refuse ASC, DESC and NULLS.
const ordering = (value: IndexKey, method: IndexMethod): string => {
  if (method !== "btree") return "";
  const ordinary = value.direction === "asc" ? "last" : "first";
  return `${value.direction === "desc" ? " desc" : ""}${value.nulls === ordinary ? "" : ` nulls ${value.nulls}`}`;
};

const key = (value: IndexKey, method: IndexMethod): string =>
  `${keyTarget(value)}${operatorClass(value)}${ordering(value, method)}`;

const operatorClass = ({ opclass, opclassSchema }: IndexKey): string => {
  if (opclass === undefined) return "";
  return ` ${opclassSchema === undefined ? quoteIdentifier(opclass) : quoteName({ schema: opclassSchema, name: opclass })}`;
};

/**
 * Renders `create index`. The only place where an index definition becomes SQL; every identifier is quoted.
 * `concurrently` is what a target gets: it locks the table in SHARE UPDATE EXCLUSIVE mode, which lets reads and writes through.
 */
export const renderCreateIndex = (
  definition: IndexDefinition,
  name: string | null,
  options: { readonly concurrently: boolean },
): string => {
  const include =
    definition.include.length > 0 ? ` include (${definition.include.map(quoteIdentifier).join(", ")})` : "";
  const condition =
    definition.gate === undefined
      ? definition.where
      : [...(definition.where === undefined ? [] : [`(${definition.where})`]), gatePredicate(definition.gate)].join(
          " and ",
        );
  const where = condition === undefined ? "" : ` where ${condition}`;
  return (
    `create index ${options.concurrently ? "concurrently " : ""}${name === null ? "" : `${quoteIdentifier(name)} `}` +
    `on ${quoteName(definition.table)} using ${definition.method} (${definition.keys.map((one) => key(one, definition.method)).join(", ")})${include}${where}`
  );
};

/**
 * Renders `drop index concurrently`: SHARE UPDATE EXCLUSIVE on the table, and a wait for the transactions that use it; reads and writes go on.
 * Needs ownership of the table. Not allowed in a transaction.
 */
export const renderDropIndex = (index: TableName): string => `drop index concurrently if exists ${quoteName(index)}`;

/** Renders the dropping of a partitioned index's parent, for which there is no CONCURRENTLY: ACCESS EXCLUSIVE on the table and on every partition. */
export const renderDropParentIndex = (index: TableName): string => `drop index ${quoteName(index)}`;

/**
 * Renders `reindex index concurrently`: a copy is built beside it, takes its name, comment and constraint, and the old one is dropped. Locks as a concurrent
 * build does. Needs ownership. Not allowed in a transaction, nor for exclusion constraints.
 */
export const renderReindex = (index: TableName): string => `reindex index concurrently ${quoteName(index)}`;

/** Renders `analyze`: SHARE UPDATE EXCLUSIVE on the table while a sample of it is read. Without columns, for only then expressions of indexes are counted. */
export const renderAnalyze = (table: TableName): string => `analyze ${quoteName(table)}`;

/** Renders the renaming of an index: SHARE UPDATE EXCLUSIVE on the index alone. Needs ownership and CREATE on the schema. */
export const renderRenameIndex = (index: TableName, name: string): string =>
  `alter index ${quoteName(index)} rename to ${quoteIdentifier(name)}`;

/** Renders an index's comment: SHARE UPDATE EXCLUSIVE on the index alone. Needs ownership. */
export const renderIndexComment = (index: TableName, comment: string): string =>
  `comment on index ${quoteName(index)} is ${quoteLiteral(comment)}`;

/** Renders a constraint's comment: SHARE UPDATE EXCLUSIVE on the table. Needs ownership. */
export const renderConstraintComment = (table: TableName, name: string, comment: string): string =>
  `comment on constraint ${quoteIdentifier(name)} on ${quoteName(table)} is ${quoteLiteral(comment)}`;

/**
 * Renders a lock of the mode that every build, vacuum and `alter table` on the table conflicts with, reads and writes do not. With `nowait` it
 * fails at once instead of queueing: whoever gets it knows that nobody builds an index on this table.
 */
export const renderProveIdle = (table: TableName): string =>
  `lock table only ${quoteName(table)} in share update exclusive mode nowait`;
