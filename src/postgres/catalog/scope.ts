/**
 * SQL condition for schemas that belong to the user: neither PostgreSQL's (every `pg_…` name is reserved for it) nor ours.
 * The argument is an SQL column expression of this folder, never a value.
 */
export const isUserSchema = (column: string): string =>
  `(${column} !~ '^pg_' and ${column} not in ('information_schema', 'indexpilot'))`;

type ExtensionCatalog =
  `pg_${"class" | "type" | "collation" | "proc" | "operator" | "opclass" | "cast" | "ts_dict" | "ts_config"}`;

/** SQL condition: the object was made by an extension's script. `catalog` is the catalogue's name, `oid` a column. */
export const isExtensionMember = (catalog: ExtensionCatalog, oid: string): string =>
  `exists (select from pg_depend e
            where e.classid = '${catalog}'::regclass and e.objid = ${oid} and e.objsubid = 0 and e.deptype = 'e')`;
