import type { Column, RowExpression, Table } from "../domain/index.ts";
import { quoteIdentifier, quoteLiteral } from "../postgres/index.ts";

/** An expression of a row that an index can hold. */
export interface IndexableExpression {
  readonly kind: "indexable";
  /** As `pg_get_expr` writes it. */
  readonly sql: string;
  readonly columns: readonly string[];
  /** Base type's name, as in `Column.baseType`. */
  readonly type: string;
  /** The most bytes of a value; null where nothing bounds it. */
  readonly maxBytes: number | null;
}

/**
 * Why an expression is no key. `may_raise`: a value that may come would make the write fail; `not_immutable`: its value depends on settings;
 * `constant_unknown`: a parameter stands in it; `unknown_expression`: we do not know that neither holds.
 */
export interface UnfitExpression {
  readonly kind: "unfit";
  readonly code: "may_raise" | "not_immutable" | "constant_unknown" | "unknown_expression";
  readonly sql: string;
  readonly columns: readonly string[];
  readonly reason: string;
}

type Reading = IndexableExpression | UnfitExpression;

const texts = new Set(["text", "varchar", "bpchar", "name"]);
const integers = new Set(["int2", "int4", "int8"]);
const bytesOf: Readonly<Record<string, number>> = {
  bool: 1,
  int2: 2,
  int4: 4,
  int8: 8,
  float8: 8,
  date: 4,
  timestamp: 8,
  timestamptz: 8,
};

/** What `extract` delivers: a numeric of at most some twenty digits. */
const EXTRACTED_BYTES = 24;

/** Reads an expression of the row with the types of the table's columns. */
export const readExpression = (table: Table, expression: RowExpression): Reading => {
  const reading = readPart(table, expression);
  const { sql, columns, hasParameter } = spelledOut(expression);
  if (reading.kind === "unfit") return { ...reading, sql, columns };
  if (!hasParameter) return reading;
  const reason =
    "the workload shows a parameter in place of a constant of the expression: give the statement as a file, with its constants";
  return { kind: "unfit", code: "constant_unknown", sql, columns, reason };
};

/** As it was written, for people. */
const spelledOut = (
  expression: RowExpression,
): { readonly sql: string; readonly columns: readonly string[]; readonly hasParameter: boolean } => {
  const together = (parts: readonly RowExpression[], write: (...texts: readonly string[]) => string) => {
    const inner = parts.map(spelledOut);
    return {
      sql: write(...inner.map((part) => part.sql)),
      columns: [...new Set(inner.flatMap((part) => part.columns))],
      hasParameter: inner.some((part) => part.hasParameter),
    };
  };
  switch (expression.kind) {
    case "column":
      return { sql: quoteIdentifier(expression.column), columns: [expression.column], hasParameter: false };
    case "parameter":
      return { sql: "$n", columns: [], hasParameter: true };
    case "constant":
      return {
        sql: expression.type === "text" ? quoteLiteral(expression.value) : expression.value,
        columns: [],
        hasParameter: false,
      };
    case "cast":
      return together([expression.argument], (argument = "") => `(${argument})::${expression.type}`);
    case "operator":
      return together(
        [expression.left, expression.right],
        (left = "", right = "") => `(${left} ${expression.operator} ${right})`,
      );
    case "call":
      return together(expression.arguments, (...parts) => `${expression.name}(${parts.join(", ")})`);
  }
};

const readPart = (table: Table, expression: RowExpression): Reading => {
  switch (expression.kind) {
    case "column":
      return readColumn(table, expression.column);
    case "constant": {
      const { type, value } = expression;
      if (type === "text") return indexable(`${quoteLiteral(value)}::text`, [], "text", value.length * 4);
      if (type === "boolean") return indexable(value, [], "bool", 1);
      return indexable(value, [], /^-?\d{1,9}$/.test(value) ? "int4" : "numeric", 16);
    }
    case "parameter":
      return indexable("$n", [], "text", null);
    case "cast":
      return readCast(table, expression.argument, expression.type);
    case "operator":
      return readOperator(table, expression);
    case "call":
      return readCall(table, expression.name, expression.arguments);
  }
};

const indexable = (
  sql: string,
  columns: readonly string[],
  type: string,
  maxBytes: number | null,
): IndexableExpression => ({ kind: "indexable", sql, columns: [...new Set(columns)], type, maxBytes });

const unfit = (
  code: UnfitExpression["code"],
  sql: string,
  parts: readonly { readonly columns: readonly string[] }[],
  reason: string,
): UnfitExpression => ({
  kind: "unfit",
  code,
  sql,
  columns: [...new Set(parts.flatMap((part) => part.columns))],
  reason,
});

const readColumn = (table: Table, name: string): Reading => {
  const column = table.columns.find((one) => one.name === name);
  const sql = quoteIdentifier(name);
  if (column === undefined)
    return unfit("unknown_expression", sql, [{ columns: [name] }], `there is no column ${name}`);
  if (column.generated?.kind === "virtual") {
    return unfit("unknown_expression", sql, [{ columns: [name] }], `${name} is computed when it is read`);
  }
  return indexable(sql, [name], column.baseType, column.maxBytes);
};

// Functions that take `text` see a varchar through a cast.
const asText = (part: IndexableExpression): string =>
  part.type === "varchar" || part.type === "bpchar" || part.type === "name" ? `(${part.sql})::text` : part.sql;

/** Types by the names that a cast may use. */
const typeNames: Readonly<Record<string, string>> = {
  integer: "int4",
  int: "int4",
  bigint: "int8",
  smallint: "int2",
  boolean: "bool",
  "character varying": "varchar",
  decimal: "numeric",
  "double precision": "float8",
  real: "float4",
};
const spelled: Readonly<Record<string, string>> = {
  int4: "integer",
  int8: "bigint",
  int2: "smallint",
  bool: "boolean",
  varchar: "character varying",
  float8: "double precision",
  timestamp: "timestamp without time zone",
};

const readCast = (table: Table, argument: RowExpression, named: string): Reading => {
  const type = typeNames[named] ?? named;
  if (argument.kind === "constant" && argument.type === "text") {
    return indexable(`${quoteLiteral(argument.value)}::${spelled[type] ?? type}`, [], type, argument.value.length * 4);
  }
  const part = readPart(table, argument);
  if (part.kind === "unfit") return part;
  const sql = `(${part.sql})::${spelled[type] ?? type}`;
  const from = part.type;
  if (from === type) return part;
  if (texts.has(from)) {
    if (type === "text") return indexable(sql, part.columns, "text", part.maxBytes);
    return unfit("may_raise", sql, [part], `the cast to ${named} fails for a text that is none`);
  }
  if (type === "text") {
    if (integers.has(from)) return indexable(sql, part.columns, "text", 24);
    if (from === "uuid") return indexable(sql, part.columns, "text", 40);
    if (from === "bool") return indexable(sql, part.columns, "text", 8);
    if (from === "jsonb" || from === "numeric") return indexable(sql, part.columns, "text", null);
    return unfit("not_immutable", sql, [part], `how a ${from} is written depends on settings`);
  }
  if (type === "date" && from === "timestamp") return indexable(sql, part.columns, "date", 4);
  if (from === "timestamptz" || type === "timestamptz") {
    return unfit("not_immutable", sql, [part], `the cast to ${named} depends on the session's time zone`);
  }
  const widens =
    (integers.has(from) &&
      (type === "numeric" || (integers.has(type) && (bytesOf[type] ?? 0) > (bytesOf[from] ?? 0)))) ||
    (integers.has(from) && type === "float8");
  if (widens) return indexable(sql, part.columns, type, bytesOf[type] ?? 24);
  return unfit("may_raise", sql, [part], `the cast from ${from} to ${named} fails for a value out of its range`);
};

const readOperator = (
  table: Table,
  { operator, left, right }: Extract<RowExpression, { kind: "operator" }>,
): Reading => {
  const [a, b] = [readPart(table, left), readPart(table, right)];
  if (a.kind === "unfit") return a;
  if (b.kind === "unfit") return b;
  const parts = [a, b];
  const columns = parts.flatMap((part) => part.columns);
  if (operator === "->" || operator === "->>" || operator === "#>" || operator === "#>>") {
    const path = operator.startsWith("#") && right.kind === "constant" ? `${quoteLiteral(right.value)}::text[]` : b.sql;
    const sql = `(${a.sql} ${operator} ${path})`;
    if (a.type === "json") {
      return unfit("may_raise", sql, parts, "a json value may hold \\u0000, which cannot be taken out as text");
    }
    if (a.type !== "jsonb") return unfit("unknown_expression", sql, parts, `${operator} of a ${a.type} is not known`);
    return indexable(sql, columns, operator.endsWith(">>") ? "text" : "jsonb", null);
  }
  const sql = `(${a.sql} ${operator} ${b.sql})`;
  if (operator === "||" && parts.every((part) => texts.has(part.type))) {
    const bytes = a.maxBytes === null || b.maxBytes === null ? null : a.maxBytes + b.maxBytes;
    return indexable(`(${asText(a)} || ${asText(b)})`, columns, "text", bytes);
  }
  if (["+", "-", "*", "/", "%", "^"].includes(operator)) {
    return unfit("may_raise", sql, parts, `${operator} fails where the result is out of range`);
  }
  return unfit("unknown_expression", sql, parts, `whether ${operator} can fail is not known`);
};

/** Functions of one text whose value is about as long, and which take any text. */
const ofText = new Set(["lower", "upper", "initcap", "btrim", "ltrim", "rtrim", "reverse"]);
const settingsDependent = new Set([
  "to_char",
  "to_date",
  "to_timestamp",
  "concat",
  "concat_ws",
  "format",
  "unaccent",
  "now",
  "age",
  "timezone",
]);

const readCall = (table: Table, name: string, given: readonly RowExpression[]): Reading => {
  const read = given.map((one) => readPart(table, one));
  const parts: IndexableExpression[] = [];
  for (const part of read) {
    if (part.kind === "unfit") return part;
    parts.push(part);
  }
  const columns = parts.flatMap((part) => part.columns);
  const plain = `${name}(${parts.map((part) => part.sql).join(", ")})`;
  const [first, second] = parts;
  const unknown = unfit(
    "unknown_expression",
    plain,
    parts,
    `whether ${name} is immutable and never fails is not known`,
  );
  if (first === undefined) return unknown;

  if (parts.length === 1 && texts.has(first.type)) {
    const sql = `${name}(${asText(first)})`;
    // A letter may become two: ß in upper case.
    if (ofText.has(name)) return indexable(sql, columns, "text", first.maxBytes === null ? null : first.maxBytes * 2);
    if (name === "md5") return indexable(sql, columns, "text", 36);
    if (["length", "char_length", "character_length", "octet_length"].includes(name)) {
      return indexable(sql, columns, "int4", 4);
    }
  }
  if ((name === "left" || name === "right") && texts.has(first.type) && given[1]?.kind === "constant") {
    const length = Number(given[1].value);
    const sql = `"${name}"(${asText(first)}, ${String(length)})`;
    if (length > 0)
      return indexable(sql, columns, "text", Math.min(length * 4, first.maxBytes ?? Number.MAX_SAFE_INTEGER));
  }
  if (
    name === "coalesce" &&
    second !== undefined &&
    given.slice(1).every((one) => one.kind === "constant" || one.kind === "parameter")
  ) {
    const others = given.slice(1).map((one) => constantAs(table, one, first.type));
    const sql = `COALESCE(${[first.sql, ...others].join(", ")})`;
    return indexable(sql, columns, first.type, first.maxBytes);
  }
  if (name === "date" && parts.length === 1) {
    if (first.type === "timestamp") return indexable(plain, columns, "date", 4);
    if (first.type === "timestamptz") return dependsOnZone(plain, parts);
  }
  // With a zone of its own, the session's does not count.
  if (second !== undefined && name === "timezone") {
    const [named] = given;
    if (named?.kind !== "constant" && named?.kind !== "parameter") return unknown;
    const zone = named.kind === "constant" ? `${quoteLiteral(named.value)}::text` : "$n";
    const sql = `(${second.sql} AT TIME ZONE ${zone})`;
    if (second.type === "timestamptz") return indexable(sql, columns, "timestamp", 8);
    if (second.type === "timestamp") return indexable(sql, columns, "timestamptz", 8);
  }
  if (second !== undefined && ["date_trunc", "date_part", "extract"].includes(name)) {
    const unit = given[0]?.kind === "constant" ? given[0].value : "$n";
    if (second.type === "timestamptz" || (second.type === "date" && name === "date_trunc"))
      return dependsOnZone(plain, parts);
    if (second.type === "timestamp" || second.type === "date") {
      if (name === "date_trunc") {
        return indexable(`date_trunc(${quoteLiteral(unit)}::text, ${second.sql})`, columns, "timestamp", 8);
      }
      return name === "extract"
        ? indexable(`EXTRACT(${unit} FROM ${second.sql})`, columns, "numeric", EXTRACTED_BYTES)
        : indexable(`date_part(${quoteLiteral(unit)}::text, ${second.sql})`, columns, "float8", 8);
    }
  }
  if (name === "to_tsvector") {
    if (second === undefined) {
      return unfit("not_immutable", plain, parts, "without a configuration, to_tsvector depends on a setting");
    }
    const configuration = given[0]?.kind === "cast" ? given[0].argument : given[0];
    const name = configuration?.kind === "constant" ? configuration.value : null;
    if ((name === null && configuration?.kind !== "parameter") || !(texts.has(second.type) || second.type === "jsonb"))
      return unknown;
    const sql = `to_tsvector(${quoteLiteral(name ?? "")}::regconfig, ${asText(second)})`;
    return indexable(sql, columns, "tsvector", null);
  }
  if (settingsDependent.has(name)) return unfit("not_immutable", plain, parts, `${name} depends on settings`);
  if (name === "abs" || name === "round" || name === "to_number") {
    return unfit("may_raise", plain, parts, `${name} fails for values out of its range`);
  }
  return unknown;
};

const dependsOnZone = (sql: string, parts: readonly IndexableExpression[]): UnfitExpression =>
  unfit("not_immutable", sql, parts, "the value depends on the session's time zone");

const constantAs = (table: Table, expression: RowExpression, type: string): string => {
  if (expression.kind !== "constant") return readPart(table, expression).sql;
  if (expression.type !== "text") return expression.value;
  return `${quoteLiteral(expression.value)}::${spelled[type] ?? type}`;
};

/** A constant as the predicate on a column holds it. */
export const constantFor = (column: Column, expression: RowExpression): string | null => {
  const bare = expression.kind === "cast" ? expression.argument : expression;
  if (bare.kind !== "constant") return null;
  if (bare.type === "text") {
    const type = column.baseType === "varchar" ? "text" : column.type.replace(/\([^)]*\)/, "");
    return `${quoteLiteral(bare.value)}::${type}`;
  }
  if (bare.type === "boolean") return bare.value;
  return column.baseType === "numeric" && /^-?\d+$/.test(bare.value) ? `(${bare.value})::numeric` : bare.value;
};
