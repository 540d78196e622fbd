import type { Binding, BindingSource, Catalog, Column, Statement } from "../domain/index.ts";
import { arrayElements, arrayText, quoteLiteral } from "../postgres/index.ts";
import { type Random, seededRandom, seedFrom } from "../runtime/index.ts";
import {
  parameterUses,
  type ParameterOperator,
  type ParameterUse,
  type ParsedStatement,
  parseStatement,
  substituteParameters,
} from "../sql/index.ts";
import type { Resolver } from "./resolution.ts";
import {
  ascendingValues,
  columnValues,
  drawValue,
  guessedValue,
  isMoment,
  isNumber,
  readableAs,
  typeName,
} from "./values.ts";

export interface BindingRequest {
  readonly statement: ParsedStatement;
  readonly resolver: Resolver;
  readonly enums: Catalog["enums"];
  readonly rowsPerCall: number | null;
  /** Decides all draws, together with the statement's id. */
  readonly seed: number;
  readonly statementId: string;
  /** How many texts at most. */
  readonly count: number;
}

/** What the literals of one text are made from. */
type Known = Pick<BindingRequest, "resolver" | "enums" | "rowsPerCall">;

/** Members for an array or for a list that PostgreSQL 18 shows as one parameter. */
const listLength = 3;
/** LIMIT where it is not known how many rows a call returned. */
const usualLimit = 10;
const aDay = "interval '1 day'";
/** Shares of the column's values that the ranges of successive bindings cover: narrow ones are what indexes are for, wide ones what they are not. */
const rangeWidths = [0.01, 0.05, 0.2];

const lowEnds = new Set<ParameterOperator>([">", ">=", "low"]);
const highEnds = new Set<ParameterOperator>(["<", "<=", "high"]);
const equals = new Set<ParameterOperator>(["=", "in", "any"]);
const compared = new Set<ParameterOperator>([...lowEnds, ...highEnds, ...equals, "<>", "like", "ilike"]);

/**
 * Executable texts of a statement: every `$n` replaced by a literal with a real value of the column it is compared with, drawn by stratified
 * sampling (Latin hypercube: each parameter's values are spread over its distribution, independently of the others'). Never NULL, which
 * degenerates plans. Empty when no text parses.
 */
export const bindingsOf = (request: BindingRequest): readonly Binding[] => {
  const { statement, resolver, count } = request;
  const uses = parameterUses(statement, resolver.lookup);
  if (uses.size === 0) return [{ sql: statement.text, share: 1, source: "literal" }];

  const random = seededRandom(seedFrom(`${request.seed}:${request.statementId}`));
  const parameters = parametersOf(uses);
  const strata = new Map(parameters.map(({ number }) => [number, shuffled(count, random)]));
  const texts = new Map<string, { share: number; source: BindingSource }>();
  for (let round = 0; round < count; round += 1) {
    const draws = new Map(
      parameters.map(({ number }) => [number, ((strata.get(number)?.[round] ?? 0) + random()) / count]),
    );
    const filled = fill(request, { parameters, draws, round });
    const sql = substituteParameters(statement.text, filled.literal);
    if (parseStatement(sql).kind !== "parsed") continue;
    texts.set(sql, { share: (texts.get(sql)?.share ?? 0) + 1, source: filled.source });
  }
  const total = [...texts.values()].reduce((sum, { share }) => sum + share, 0);
  return [...texts].map(([sql, { share, source }]) => ({ sql, share: share / total, source }));
};

/**
 * A statement as it asks for one value of a column, whichever table's: `value`, an SQL expression, stands where a parameter is compared with it for equality; everything
 * else is drawn as in `bindingsOf`. Null where no parameter is, or where no text parses.
 */
export const bindingFor = (
  { id: statementId, text, rowsPerCall }: Pick<Statement, "id" | "text" | "rowsPerCall">,
  known: Pick<BindingRequest, "resolver" | "enums" | "seed">,
  { column, value }: { readonly column: string; readonly value: string },
): string | null => {
  const parsed = parseStatement(text);
  if (parsed.kind !== "parsed") return null;
  const parameters = parametersOf(parameterUses(parsed.statement, known.resolver.lookup));
  const asking = parameters.filter(({ use }) => use.column?.column === column && equals.has(use.operator));
  if (asking.length === 0) return null;
  const random = seededRandom(seedFrom(`${known.seed}:${statementId}`));
  const draws = new Map(parameters.map(({ number }) => [number, random()]));
  const { literal } = fill({ ...known, rowsPerCall }, { parameters, draws, round: 0 });
  const given = new Map(asking.map(({ number, use }) => [number, use.operator === "any" ? `array[${value}]` : value]));
  const sql = substituteParameters(text, (number, squashed) => given.get(number) ?? literal(number, squashed));
  return parseStatement(sql).kind === "parsed" ? sql : null;
};

const parametersOf = (uses: ReadonlyMap<number, ParameterUse>): readonly Parameter[] =>
  [...uses].sort(([a], [b]) => a - b).map(([number, use]) => ({ number, use }));

const shuffled = (count: number, random: Random): readonly number[] => {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i -= 1) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0];
  }
  return order;
};

interface Parameter {
  readonly number: number;
  readonly use: ParameterUse;
}

/** One binding in the making: where in its distribution, from 0 to 1, each parameter's value lies. */
interface Round {
  readonly parameters: readonly Parameter[];
  readonly draws: ReadonlyMap<number, number>;
  readonly round: number;
}

interface Filled {
  readonly literal: (number: number, squashed: boolean) => string;
  readonly source: BindingSource;
}

const fill = (request: Known, round: Round): Filled => {
  const literals = new Map<number, readonly string[]>();
  let source: BindingSource = "statistics";
  for (const parameter of round.parameters) {
    const { number, use } = parameter;
    const column = columnOf(request, use);
    const many = use.operator === "any" || use.operator === "in" ? listLength : 1;
    const members = Array.from({ length: many }, (_, i) =>
      valueOf(request, round, parameter, column, ((round.draws.get(number) ?? 0) + i / many) % 1),
    );
    if (members.some(({ isReal }) => !isReal) && compared.has(use.operator)) source = "guess";
    const values = members.map(({ value }) => value);
    const texts = use.operator === "any" ? [arrayText([...new Set(values)])] : values;
    literals.set(
      number,
      texts.map((value) => written(use, column, value)),
    );
  }
  return {
    source,
    literal: (number, squashed) => {
      const all = literals.get(number) ?? ["'1'"];
      return squashed ? [...new Set(all)].join(", ") : (all[0] ?? "'1'");
    },
  };
};

const columnOf = ({ resolver }: Known, { column }: ParameterUse): Column | undefined =>
  column === null ? undefined : resolver.table(column)?.columns.find(({ name }) => name === column.column);

const written = (use: ParameterUse, column: Column | undefined, value: string): string => {
  const bare = /^-?\d+(\.\d+)?(e[-+]?\d+)?$/i.test(value) ? (value.startsWith("-") ? `(${value})` : value) : null;
  const { writeAs } = use;
  if (writeAs === "interval") return aDay;
  if (writeAs === "addend") return column !== undefined && isMoment(column.baseType) ? aDay : "1";
  if (writeAs === "number") return bare ?? "1";
  if (writeAs === "element" && column?.baseType.startsWith("_") === true) {
    // `array[…]` alone has the type of its members' literals.
    return `${quoteLiteral(value)}::${column.type.replace(/\[\]$/, "")}`;
  }
  const isElement = writeAs === "element" && column !== undefined && isNumber(column.baseType);
  return isElement && bare !== null ? bare : quoteLiteral(value);
};

interface Value {
  readonly value: string;
  readonly isReal: boolean;
}

const real = (value: string): Value => ({ value, isReal: true });

const valueOf = (request: Known, round: Round, parameter: Parameter, column: Column | undefined, u: number): Value => {
  const { use } = parameter;
  if (use.writeAs === "element" && column?.baseType.startsWith("_") === true)
    return elementOf(column, u, request.enums);
  if (use.operator === "limit") return real(String(Math.max(1, Math.round(request.rowsPerCall ?? usualLimit))));
  if (use.operator === "offset") return real("0");
  if (use.operator === "time unit") return real("day");
  if (use.operator === "time zone") return real("UTC");
  const type = column?.baseType ?? "";
  const target = use.castTo === null ? type : typeName(use.castTo).replace(/\[\]$/, "");
  const values = column === undefined || !readableAs(type, target) ? null : columnValues(column);
  if (values === null) {
    const guess = guessedValue(use.operator === "any" ? target : typeName(use.castTo ?? type), request.enums);
    return { value: use.operator === "like" ? `${guess}%` : guess, isReal: false };
  }
  if (lowEnds.has(use.operator) || highEnds.has(use.operator)) {
    return real(endOfRange(round, parameter, ascendingValues(values, type)));
  }
  const value = drawValue(values, u);
  if (use.operator === "like") return real(`${escaped(value, 0)}%`);
  return real(use.operator === "ilike" ? `%${escaped(value, 1)}%` : value);
};

// A member of an array column, as common ones are.
const elementOf = (column: Column, u: number, enums: BindingRequest["enums"]): Value => {
  const elements = arrayElements((column.statistics ?? column.inheritedStatistics)?.mostCommonElements ?? "{}");
  const element = elements[Math.floor(u * elements.length)];
  return element === undefined
    ? { value: guessedValue(column.baseType.slice(1), enums), isReal: false }
    : real(element);
};

// A few characters of a value, as a person would type them.
const escaped = (value: string, from: number): string =>
  Array.from(value)
    .slice(from, from + 5)
    .join("")
    .replaceAll(/[\\%_]/g, String.raw`\$&`);

/**
 * Both ends of a range on one column are placed together: the low one at a random position, the high one as much further up as the range is wide.
 * A single end cuts off its share of the values.
 */
const endOfRange = (
  { parameters, draws, round }: Round,
  { number, use }: Parameter,
  values: readonly string[],
): string => {
  const isLow = lowEnds.has(use.operator);
  const opposite = isLow ? highEnds : lowEnds;
  const partner = parameters.find(
    (other) => opposite.has(other.use.operator) && JSON.stringify(other.use.column) === JSON.stringify(use.column),
  );
  const last = values.length - 1;
  const width = Math.min(last, Math.max(1, Math.round((rangeWidths[round % rangeWidths.length] ?? 0.01) * last)));
  if (partner === undefined) return values[isLow ? last - width : width] ?? "";
  const position = draws.get(isLow ? number : partner.number) ?? 0;
  const start = Math.floor(position * (last - width + 1));
  return values[isLow ? start : start + width] ?? "";
};
