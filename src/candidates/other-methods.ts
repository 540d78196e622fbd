import {
  ascending,
  type Catalog,
  type Column,
  type IndexKey,
  type IndexMethod,
  type RowCondition,
  type Table,
} from "../domain/index.ts";
import { arrayElements } from "../postgres/index.ts";
import { type IndexableExpression, readExpression } from "./expression.ts";

/** An index of one key that is no B-tree, with the name of the rule that made it. */
export interface MethodDraft {
  readonly kind: "draft";
  readonly method: Exclude<IndexMethod, "btree">;
  readonly key: IndexKey;
  readonly rule: string;
}

export interface MethodProblem {
  readonly kind: "declined";
  readonly method: IndexMethod;
  readonly key: IndexKey;
  readonly code: string;
  readonly reason: string;
}

/** What of the database decides which methods there are. */
export interface MethodContext {
  /** The schema of each extension, by its name. */
  readonly extensions: ReadonlyMap<string, string>;
}

export const methodContext = (catalog: Catalog): MethodContext => ({
  extensions: new Map(catalog.extensions.map((extension) => [extension.name, extension.schema])),
});

const jsonContainment = new Set(["@>", "@?", "@@"]);
const jsonExistence = new Set(["?", "?|", "?&"]);
const arrayOperators = new Set(["@>", "<@", "&&"]);
const rangeOperators = new Set(["&&", "@>", "<@", "-|-", "<<", ">>", "&<", "&>"]);
const boxOperators = new Set(["&&", "@>", "<@", "<<", ">>", "~="]);
const networkOperators = new Set(["&&", ">>", ">>=", "<<", "<<="]);
const geometricTypes = new Set(["point", "box", "polygon", "circle"]);
/** Functions of PostGIS that an index answers (its manual, "Spatial Indexes"). */
const spatialFunctions =
  /(^|\.)st_(intersects|contains|within|dwithin|covers|coveredby|touches|crosses|overlaps|equals|containsproperly|dfullywithin|3dintersects|3ddwithin)$/;
const rangeTypes = /(range|multirange)$/;

/** A GIN entry may not be larger (`GinMaxItemSize`, ginblock.h), and an element of a text array may be. */
const widestElement = 256;

/** The indexes that could answer one condition and are no B-trees, and those that would be if something were different. */
export const methodDrafts = (
  table: Table,
  condition: RowCondition,
  context: MethodContext,
): readonly (MethodDraft | MethodProblem)[] => {
  const { subject, operator } = condition;
  if (operator === "call") {
    const inner = subject.kind === "call" ? subject.arguments[0] : undefined;
    const spatial = subject.kind === "call" && spatialFunctions.test(subject.name);
    const column = inner?.kind === "column" ? columnOf(table, inner.column) : undefined;
    return spatial && column !== undefined && isSpatial(column)
      ? [draft("gist", ascending(column.name), "spatial")]
      : [];
  }
  const expression = readExpression(table, subject);
  if (expression.kind === "unfit") return [];
  const key = keyOf(expression);
  const { type } = expression;
  const column = subject.kind === "column" ? columnOf(table, subject.column) : undefined;

  if (type === "jsonb") {
    if (jsonExistence.has(operator)) return [draft("gin", key, "json key")];
    if (!jsonContainment.has(operator)) return [];
    // The default class holds keys and values apart, which serves more operators; the other one is smaller and more exact.
    return [
      draft("gin", { ...key, opclass: "jsonb_path_ops" }, "json containment"),
      draft("gin", key, "json containment"),
    ];
  }
  if (type === "tsvector") return operator === "@@" ? [draft("gin", key, "text search")] : [];
  if (type.startsWith("_") && arrayOperators.has(operator)) {
    const problem = column === undefined ? null : elementProblem(column);
    return [problem === null ? draft("gin", key, "array") : declined("gin", key, "unbounded_width", problem)];
  }
  if (rangeTypes.test(type) && rangeOperators.has(operator)) return [draft("gist", key, "range")];
  if (geometricTypes.has(type) && boxOperators.has(operator)) return [draft("gist", key, "geometry")];
  if ((type === "geometry" || type === "geography") && (boxOperators.has(operator) || operator === "~")) {
    return [draft("gist", key, "spatial")];
  }
  if ((type === "inet" || type === "cidr") && networkOperators.has(operator)) {
    return [draft("gist", { ...key, opclass: "inet_ops" }, "network")];
  }
  return isText(type) ? textDrafts(condition, key, expression, context) : [];
};

const draft = (method: MethodDraft["method"], key: IndexKey, rule: string): MethodDraft => ({
  kind: "draft",
  method,
  key,
  rule,
});

const declined = (method: IndexMethod, key: IndexKey, code: string, reason: string): MethodProblem => ({
  kind: "declined",
  method,
  key,
  code,
  reason,
});

const columnOf = (table: Table, name: string): Column | undefined => table.columns.find((one) => one.name === name);

/** The key that holds an expression; a bare column is no expression. */
export const keyOf = ({ sql, columns }: IndexableExpression): IndexKey => {
  const [column = ""] = columns;
  return sql === column || sql === `"${column.replaceAll('"', '""')}"`
    ? ascending(column)
    : { ...ascending(column), expression: sql };
};

const isSpatial = ({ baseType }: Column): boolean => baseType === "geometry" || baseType === "geography";

export const isText = (type: string): boolean => type === "text" || type === "varchar" || type === "bpchar";

// Element types without a bound: the statistics must show that they are short words, and even then it is said.
const elementProblem = (column: Column): string | null => {
  if (!/^_(text|varchar|bpchar|bytea|jsonb|numeric)$/.test(column.baseType) || /\(\d+\)/.test(column.type)) return null;
  const statistics = column.statistics ?? column.inheritedStatistics;
  const common = arrayElements(statistics?.mostCommonElements ?? "{}");
  const widest = Math.max(0, ...common.map((element) => Buffer.byteLength(element)));
  if (common.length > 0 && widest <= widestElement && (statistics?.averageWidth ?? 0) <= 4 * widestElement) return null;
  return `elements of ${column.name} (${column.type}) have no length limit: one over 2,700 bytes would make the write fail`;
};

const textDrafts = (
  { operator, operands }: RowCondition,
  key: IndexKey,
  { maxBytes }: IndexableExpression,
  { extensions }: MethodContext,
): readonly (MethodDraft | MethodProblem)[] => {
  const drafts: (MethodDraft | MethodProblem)[] = [];
  if ((operator === "=" || operator === "in") && !fitsBtree(maxBytes)) {
    drafts.push(draft("hash", key, "long text"));
  }
  const pattern = patternOf(operator, operands);
  if (pattern === null) return drafts;
  // Text in an SP-GiST tree is cut into its beginnings, so that no value is too long.
  if (pattern.anchored && !fitsBtree(maxBytes)) drafts.push(draft("spgist", key, "pattern"));
  if (pattern.floating) {
    const trigrams = { ...key, opclass: "gin_trgm_ops" };
    const schema = extensions.get("pg_trgm");
    drafts.push(
      schema !== undefined
        ? draft("gin", { ...trigrams, opclassSchema: schema }, "trigram")
        : declined(
            "gin",
            trigrams,
            "extension_missing",
            "a pattern that does not begin with letters needs trigrams: create extension pg_trgm",
          ),
    );
  }
  return drafts;
};

/** `BTMaxItemSize` less the tuple's header, as in `width.ts`: with it a hash index is pointless. */
const fitsBtree = (maxBytes: number | null): boolean => maxBytes !== null && maxBytes <= 2_600;

interface PatternUse {
  /** Whether it may begin with letters that an ordered index finds. */
  readonly anchored: boolean;
  /** Whether it may begin with anything, so that only trigrams find it. */
  readonly floating: boolean;
}

/** What a pattern condition asks for; null for other operators. A parameter may be either. */
export const patternOf = (operator: string, operands: RowCondition["operands"]): PatternUse | null => {
  const known = operands?.[0]?.kind === "constant" ? operands[0].value : null;
  switch (operator) {
    case "~~":
      return known === null
        ? { anchored: true, floating: true }
        : { anchored: /^[^%_]/.test(known), floating: /^[%_]/.test(known) && hasTrigram(known) };
    case "~~*":
    case "~*":
    case "~":
    case "%":
      return { anchored: false, floating: known === null || hasTrigram(known) };
    default:
      return null;
  }
};

const hasTrigram = (pattern: string): boolean => /[\p{L}\p{N}]{3}/u.test(pattern);

/** Rows must lie in the column's order for block ranges to exclude anything. */
const leastCorrelation = 0.9;
/** Below, a scan of the whole table is as fast as reading the ranges (default 128 blocks each) that remain. */
const leastBlocks = 1_024;

const blockRangeTypes = /^(int2|int4|int8|date|timestamp|timestamptz|numeric|float8|uuid|oid)$/;

/** A BRIN index for ranges of a column that grows with the table. */
export const blockRangeDraft = (table: Table, name: string, blocks: number): MethodDraft | null => {
  const column = columnOf(table, name);
  const correlation = (column?.statistics ?? column?.inheritedStatistics)?.correlation ?? 0;
  return column !== undefined &&
    blockRangeTypes.test(column.baseType) &&
    Math.abs(correlation) >= leastCorrelation &&
    blocks >= leastBlocks
    ? draft("brin", ascending(name), "block range")
    : null;
};
