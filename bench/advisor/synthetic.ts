import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { seededRandom } from "../../src/runtime/index.ts";

/** A snowflake: fact tables that refer to dimensions, and these to others. */
interface Shape {
  readonly facts: number;
  readonly dimensions: number;
  readonly queries: number;
}

interface Table {
  readonly name: string;
  readonly rows: number;
  readonly parents: readonly Table[];
  /** Distinct values of each attribute. */
  readonly attributes: readonly number[];
}

const rowsPerBlock = 60;

/**
 * Writes a workload of the kind that analysts ask: joins of one fact table with some of its dimensions, filtered, grouped and sorted. The folder then holds
 * `schema.sql`, `statistics.json` and `queries/*.sql`; there are no rows, only what the planner would know of them. The same seed gives the same files.
 */
export const writeWorkload = (folder: string, seed: number, { facts, dimensions, queries }: Shape): void => {
  const random = seededRandom(seed);
  const next = (below: number): number => Math.floor(random() * below);
  const pick = <T>(items: readonly T[]): T => {
    const item = items[next(items.length)];
    if (item === undefined) throw new Error("there is nothing to pick from");
    return item;
  };
  const some = <T>(items: readonly T[], count: number): T[] => {
    const left = [...items];
    return Array.from({ length: Math.min(count, items.length) }, () => left.splice(next(left.length), 1)).flat();
  };
  const attributes = (rows: number): number[] =>
    Array.from({ length: 3 + next(4) }, () => Math.min(rows, 2 + next(pick([8, 100, 5_000, 200_000]))));

  const outer: Table[] = [];
  const inner: Table[] = [];
  for (let number = 0; number < dimensions; number += 1) {
    const isOuter = number < dimensions / 3;
    const rows = isOuter ? 50 + next(5_000) : 2_000 + next(300_000);
    const parents = isOuter ? [] : some(outer, next(3));
    (isOuter ? outer : inner).push({ name: `dim_${String(number)}`, rows, parents, attributes: attributes(rows) });
  }
  const centre = Array.from({ length: facts }, (_, number): Table => {
    const rows = 1_000_000 + next(5_000_000);
    return { name: `fact_${String(number)}`, rows, parents: some(inner, 4 + next(4)), attributes: attributes(rows) };
  });
  const tables = [...outer, ...inner, ...centre];

  mkdirSync(join(folder, "queries"), { recursive: true });
  writeFileSync(join(folder, "schema.sql"), `${tables.map(createTable).join("\n")}\n`);
  writeFileSync(
    join(folder, "statistics.json"),
    JSON.stringify({ relations: tables.map(relation), attributes: tables.flatMap(columnStatistics) }),
  );
  const value = (distinct: number): string => String(1 + next(distinct));
  const filter = (table: Table): string => {
    const position = next(table.attributes.length);
    const distinct = table.attributes[position] ?? 1;
    const column = `${table.name}.a${String(position)}`;
    if (distinct > 100 && next(2) === 0) {
      const from = 1 + next(distinct);
      return `${column} between ${String(from)} and ${String(from + Math.ceil(distinct / (10 + next(90))))}`;
    }
    return next(4) === 0 ? `${column} in (${value(distinct)}, ${value(distinct)})` : `${column} = ${value(distinct)}`;
  };
  for (let number = 1; number <= queries; number += 1) {
    const fact = pick(centre);
    const near = some(fact.parents, 1 + next(3));
    const far = near.flatMap((table) =>
      next(2) === 0 ? some(table.parents, 1).map((parent) => ({ table, parent })) : [],
    );
    const joined = far.filter(({ parent }, position) => far.findIndex((one) => one.parent === parent) === position);
    const conditions = [
      ...near.map((table) => `${fact.name}.${table.name}_id = ${table.name}.id`),
      ...joined.map(({ table, parent }) => `${table.name}.${parent.name}_id = ${parent.name}.id`),
      ...some([fact, ...near, ...joined.map(({ parent }) => parent)], 1 + next(3)).map(filter),
    ];
    const group = `${pick(near).name}.a${String(next(3))}`;
    const sum = `sum(${fact.name}.a${String(next(fact.attributes.length))})`;
    const from = [fact, ...near, ...joined.map(({ parent }) => parent)].map(({ name }) => name).join(", ");
    const text = `select ${group}, ${sum}\n  from ${from}\n where ${conditions.join("\n   and ")}\n group by ${group}\n order by 2 desc\n limit 100;\n`;
    writeFileSync(join(folder, "queries", `q${String(number).padStart(3, "0")}.sql`), text);
  }
};

const createTable = ({ name, parents, attributes }: Table): string =>
  `create table ${name} (${[
    "id int not null",
    ...parents.map((parent) => `${parent.name}_id int not null`),
    ...attributes.map((_, position) => `a${String(position)} int not null`),
  ].join(", ")}, remark varchar(40) not null);`;

const relation = ({ name, rows }: Table) => {
  const blocks = Math.ceil(rows / rowsPerBlock);
  return { schema: "public", name, relpages: blocks, reltuples: rows, relallvisible: blocks, blocks };
};

const columnStatistics = (table: Table) => [
  evenly(table, "id", table.rows, 1),
  ...table.parents.map((parent) => evenly(table, `${parent.name}_id`, parent.rows, 0)),
  ...table.attributes.map((distinct, position) => evenly(table, `a${String(position)}`, distinct, 0)),
];

/** Numbers from 1 up, all equally frequent. */
const evenly = (table: Table, column: string, distinct: number, correlation: number) => ({
  table: table.name,
  column,
  inherited: false,
  null_frac: 0,
  avg_width: 4,
  n_distinct: distinct >= table.rows ? -1 : distinct,
  most_common_vals: null,
  most_common_freqs: null,
  histogram_bounds: `{${[...new Set(Array.from({ length: 101 }, (_, i) => 1 + Math.round(((distinct - 1) * i) / 100)))].join(",")}}`,
  correlation,
});
