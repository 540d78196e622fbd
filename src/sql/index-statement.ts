import type { IndexElem, IndexStmt, Node } from "@pgsql/types";
import type { IndexDefinition, IndexKey, IndexMethod, TableName } from "../domain/index.ts";
import { parseStatement } from "./parser.ts";

export type IndexReading =
  | { readonly kind: "index"; readonly definition: IndexDefinition }
  /** For people: what is wrong with the text. */
  | { readonly kind: "unreadable"; readonly problem: string };

const methods: ReadonlySet<string> = new Set(["btree", "hash", "gin", "gist", "spgist", "brin"]);

/**
 * Reads `create index on orders (customer_id, created_at desc) include (status)`, or only what follows `on`. Plain columns; no expressions and
 * predicates, whose text only the server can put into its own words.
 * @param schema of a table that is named without one
 */
export const readIndexStatement = (text: string, schema = "public"): IndexReading => {
  const statement = /^\s*create\s/i.test(text) ? text : `create index on ${text}`;
  const unreadable = (problem: string): IndexReading => ({ kind: "unreadable", problem });
  const parsed = parseStatement(statement);
  if (parsed.kind === "unparsable") return unreadable(`it does not parse: ${parsed.message}`);
  const index = indexOf(parsed.statement.tree);
  if (index === null) return unreadable("it is not CREATE INDEX");
  if (index.unique === true) return unreadable("a unique index would be enforced for everybody, whoever may read it");
  if (index.whereClause !== undefined) return unreadable("it has a predicate");
  if ((index.options ?? []).length > 0) return unreadable("it has storage parameters");
  const method = index.accessMethod ?? "btree";
  if (!methods.has(method)) return unreadable(`there is no access method ${method} here`);
  const table: TableName = { schema: index.relation?.schemaname ?? schema, name: index.relation?.relname ?? "" };
  const keys: IndexKey[] = [];
  for (const element of (index.indexParams ?? []).map(elementOf)) {
    if (element?.name === undefined) return unreadable("a key is an expression");
    if ((element.collation ?? []).length > 0 || (element.opclassopts ?? []).length > 0) {
      return unreadable(`key ${element.name} has a collation or parameters of its operator class`);
    }
    keys.push(keyOf(element, element.name));
  }
  const include = (index.indexIncludingParams ?? []).flatMap((one) => elementOf(one)?.name ?? []);
  return { kind: "index", definition: { table, method: method as IndexMethod, keys, include } };
};

const indexOf = (tree: Node): IndexStmt | null => ("IndexStmt" in tree ? tree.IndexStmt : null);
const elementOf = (node: Node): IndexElem | null => ("IndexElem" in node ? node.IndexElem : null);

const keyOf = (element: IndexElem, column: string): IndexKey => {
  const direction = element.ordering === "SORTBY_DESC" ? "desc" : "asc";
  const nulls =
    element.nulls_ordering === "SORTBY_NULLS_FIRST"
      ? "first"
      : element.nulls_ordering === "SORTBY_NULLS_LAST"
        ? "last"
        : direction === "desc"
          ? "first"
          : "last";
  const names = (element.opclass ?? []).flatMap((one) =>
    "String" in one && one.String.sval !== undefined ? [one.String.sval] : [],
  );
  const opclass = names.at(-1);
  const opclassSchema = names.length > 1 ? names[0] : undefined;
  return {
    column,
    direction,
    nulls,
    ...(opclass === undefined ? {} : { opclass }),
    ...(opclassSchema === undefined ? {} : { opclassSchema }),
  };
};
