import type { IndexDefinition, IndexKey } from "../domain/index.ts";
import { quoteIdentifier, quoteName } from "./identifier.ts";

const key = (value: IndexKey): string => {
  const ordinary = value.direction === "asc" ? "last" : "first";
  const direction = value.direction === "desc" ? " desc" : "";
  return `${quoteIdentifier(value.column)}${direction}${value.nulls === ordinary ? "" : ` nulls ${value.nulls}`}`;
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
  return (
    `create index ${options.concurrently ? "concurrently " : ""}${name === null ? "" : `${quoteIdentifier(name)} `}` +
    `on ${quoteName(definition.table)} using ${definition.method} (${definition.keys.map(key).join(", ")})${include}`
  );
};
