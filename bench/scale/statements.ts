import { type Random } from "../../src/runtime/index.ts";
import { fingerprintOf } from "../../src/sql/index.ts";
import { type MadeTable, nameOf } from "./schema.ts";

/** One row of pg_stat_statements. */
export interface MadeStatement {
  readonly text: string;
  readonly calls: number;
  readonly totalMs: number;
  readonly rows: number;
}

const pick = <T>(from: readonly T[], random: Random): T => from[Math.floor(random() * from.length)] as T;

/** Small positions often, large ones seldom: most of the traffic is on few tables. */
const drawTable = (tables: readonly MadeTable[], random: Random): MadeTable =>
  tables[Math.floor(tables.length ** random()) - 1] ?? (tables[0] as MadeTable);

const comparable = new Set(["integer", "bigint", "timestamptz", "date", "numeric(12,2)", "double precision"]);

/** A statement with `$n` in place of its literals, as the server normalises them. */
const drawText = (tables: readonly MadeTable[], random: Random): string => {
  const table = drawTable(tables, random);
  const name = nameOf(table);
  const own = table.columns.map((one) => one.name);
  let parameters = 0;
  const next = (): string => `$${String((parameters += 1))}`;
  const some = (from: readonly string[], most: number): string[] => {
    const found = new Set<string>();
    const wanted = 1 + Math.floor(random() * most);
    while (found.size < Math.min(wanted, from.length)) found.add(pick(from, random));
    return [...found];
  };
  const condition = (alias = ""): string => {
    const parts = some(own.slice(1), 3).map((column) => `${alias}${column} = ${next()}`);
    const ranged = table.columns.filter((one) => comparable.has(one.type));
    if (random() < 0.4) parts.push(`${alias}${pick(ranged, random).name} > ${next()}`);
    if (random() < 0.1) parts.push(`${alias}id in (${next()}, ${next()}, ${next()})`);
    return parts.join(" and ");
  };
  const listed = some(own, 6).join(", ");
  switch (Math.floor(random() * 9)) {
    case 0:
      return `select ${listed} from ${name} where ${condition()}`;
    case 1:
      return `select ${listed} from ${name} where ${condition()} order by ${pick(own, random)} desc limit ${next()}`;
    case 2: {
      const group = pick(own.slice(1), random);
      return `select ${group}, count(*), max(id) from ${name} where ${condition()} group by ${group}`;
    }
    case 3: {
      const other = drawTable(tables, random);
      return `select a.id, b.tenant_id from ${name} a join ${nameOf(other)} b on b.id = a.parent_id where ${condition("a.")} and b.tenant_id = ${next()}`;
    }
    case 4: {
      const [second, third] = [drawTable(tables, random), drawTable(tables, random)];
      return `select count(*) from ${name} a join ${nameOf(second)} b on b.parent_id = a.id left join ${nameOf(third)} c on c.id = b.parent_id where ${condition("a.")}`;
    }
    case 5:
      return `update ${name} set ${pick(own.slice(1), random)} = ${next()} where ${condition()}`;
    case 6:
      return `insert into ${name} (${listed}) values (${listed
        .split(", ")
        .map(() => next())
        .join(", ")})`;
    case 7:
      return `delete from ${name} where ${condition()}`;
    default:
      return `select exists (select from ${name} a where a.id = ${next()} and ${condition("a.")} and not exists (select from ${nameOf(drawTable(tables, random))} b where b.parent_id = a.id))`;
  }
};

/** How fast times fall from the heaviest statement to the next: few statements take most of the time, as in real databases. */
const fall = 1.5;

/** Statements of different shapes, heaviest first. The parser must be loaded. */
export const makeStatements = (
  count: number,
  tables: readonly MadeTable[],
  random: Random,
): readonly MadeStatement[] => {
  const shapes = new Map<string, string>();
  while (shapes.size < count) {
    const text = drawText(tables, random);
    const shape = fingerprintOf(text);
    if (shape === null) throw new Error(`not a statement: ${text}`);
    shapes.set(shape, text);
  }
  return [...shapes.values()].map((text, n) => {
    const totalMs = 10_000_000 / (n + 1) ** fall;
    const calls = Math.max(1, Math.round(totalMs / (0.1 + random() * 10)));
    return { text, calls, totalMs, rows: calls * Math.floor(random() * 20) };
  });
};
