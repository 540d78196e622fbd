import type { JoinExpr, Node, RangeVar } from "@pgsql/types";
import { type QueryOutput, readExpression, type Reading } from "./expressions.ts";
import { noteConditions } from "./conditions.ts";
import { restrictionsOf } from "./restrictions.ts";
import {
  findCte,
  namesOf,
  openSource,
  relation,
  renamed,
  type Relation,
  type Scope,
  type Source,
  tableSource,
  writtenName,
} from "./scope.ts";

/** A query's output as a FROM item. */
export const outputSource = (output: QueryOutput, alias: string, names: readonly string[]): Source =>
  renamed(
    {
      alias,
      columns: new Map(output.columns.map(({ name, origin }) => [name, origin])),
      open: output.open,
      relation: null,
    },
    alias,
    names,
  );

/** Brings a table into scope and returns its occurrence; null where it is a WITH name or not known. */
export const addTable = (
  reading: Reading,
  range: RangeVar,
  scope: Scope,
  options: { readonly target: boolean },
): Relation | null => {
  const name = range.relname ?? "";
  const alias = range.alias?.aliasname ?? name;
  const names = namesOf(range.alias?.colnames);
  const cte = range.schemaname === undefined && !options.target ? findCte(scope.ctes, name) : undefined;
  if (cte !== undefined) {
    scope.sources.push(renamed(cte, alias, names));
    return null;
  }
  const table = reading.lookup(range.schemaname ?? null, name);
  if (table === undefined) {
    reading.unresolved.add(writtenName(range));
    scope.sources.push(openSource(alias, names));
    return null;
  }
  const occurrence = relation(table, alias);
  reading.relations.push(occurrence);
  scope.sources.push(renamed(tableSource(occurrence), alias, names));
  return occurrence;
};

/** Reads one FROM item with all that is inside of it, and adds what it delivers to the scope. */
export const readFromItem = (reading: Reading, node: Node, scope: Scope): void => {
  if ("RangeVar" in node) {
    addTable(reading, node.RangeVar, scope, { target: false });
  } else if ("JoinExpr" in node) {
    readJoin(reading, node.JoinExpr, scope);
  } else if ("RangeSubselect" in node) {
    const { subquery, lateral, alias } = node.RangeSubselect;
    if (subquery === undefined) return;
    // Only LATERAL sees the items to the left of it; without it, what is around the whole query.
    const around: Scope = lateral ? scope : { sources: [], outer: scope.outer, ctes: scope.ctes };
    const output = reading.readQuery(reading, subquery, around);
    scope.sources.push(outputSource(output, alias?.aliasname ?? "", namesOf(alias?.colnames)));
  } else if ("RangeTableSample" in node) {
    const { relation: sampled, args } = node.RangeTableSample;
    if (sampled !== undefined) readFromItem(reading, sampled, scope);
    for (const arg of args ?? []) readExpression(reading, arg, scope);
  } else {
    // Functions, XMLTABLE, JSON_TABLE: they deliver rows, and may take what stands to their left.
    const [body] = Object.values(node) as [{ alias?: { aliasname?: string; colnames?: Node[] }; functions?: Node[] }];
    readExpression(reading, node, scope);
    scope.sources.push(
      openSource(body.alias?.aliasname ?? functionName(body.functions), namesOf(body.alias?.colnames)),
    );
  }
};

// `from unnest($1)`: without an alias, the item and its column have the function's name.
const functionName = (functions: readonly Node[] | undefined): string => {
  const first = functions?.[0];
  const call = first !== undefined && "List" in first ? first.List.items?.[0] : undefined;
  return call !== undefined && "FuncCall" in call ? (namesOf(call.FuncCall.funcname).at(-1) ?? "") : "";
};

const readJoin = (reading: Reading, join: JoinExpr, scope: Scope): void => {
  const before = scope.sources.length;
  if (join.larg !== undefined) readFromItem(reading, join.larg, scope);
  const middle = scope.sources.length;
  if (join.rarg !== undefined) readFromItem(reading, join.rarg, scope);
  const left = scope.sources.slice(before, middle);
  const right = scope.sources.slice(middle);

  readExpression(reading, join.quals, scope);
  // A condition of an outer join removes no rows of the side that is kept whole.
  const filtered = new Set(
    { JOIN_LEFT: right, JOIN_RIGHT: left, JOIN_FULL: [] as Source[] }[join.jointype as string] ?? [...left, ...right],
  );
  const relations = new Set(
    [...filtered].flatMap((source) => [...source.columns.values()].map((origin) => origin?.relation)),
  );
  const restrictions = restrictionsOf(reading, join.quals, scope);
  apply(restrictions.filter(({ kind, origin }) => kind === "join" || relations.has(origin.relation)));
  noteConditions(reading, join.quals, scope, relations);

  const shared = join.isNatural
    ? [...new Set(left.flatMap((source) => [...source.columns.keys()]))].filter((name) =>
        right.some((source) => source.columns.has(name)),
      )
    : namesOf(join.usingClause);
  for (const name of shared) {
    for (const side of [left, right]) {
      const origin = side.find((source) => source.columns.has(name))?.columns.get(name);
      if (!origin) continue;
      origin.relation.join.add(origin.column);
      origin.relation.referenced.add(origin.column);
    }
  }
  if (join.alias?.aliasname !== undefined) {
    // `(a join b …) as j` hides the names inside.
    const columns = new Map([...right, ...left].flatMap((source) => [...source.columns]));
    const open = [...left, ...right].some((source) => source.open);
    scope.sources.splice(before);
    scope.sources.push({ alias: join.alias.aliasname, columns, open, relation: null });
  }
};

/** Notes the restrictions at their tables. */
export const apply = (restrictions: ReturnType<typeof restrictionsOf>): void => {
  for (const { origin, kind } of restrictions) origin.relation[kind].add(origin.column);
};
