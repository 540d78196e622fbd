import type { Random } from "../../src/runtime/index.ts";
import type { QueryShape } from "./shapes.ts";

type Kind = "int" | "text" | "numeric" | "date";
interface Visible {
  readonly alias: string;
  readonly columns: readonly (readonly [name: string, kind: Kind])[];
}

const ordersColumns: Visible["columns"] = [
  ["id", "int"],
  ["customer_id", "int"],
  ["parent", "int"],
  ["status", "text"],
  ["total", "numeric"],
  ["created_at", "date"],
  ["note", "text"],
];
const tables: readonly { readonly name: string; readonly weight: number; readonly columns: Visible["columns"] }[] = [
  { name: "orders", weight: 8, columns: ordersColumns },
  { name: "public.orders", weight: 2, columns: ordersColumns },
  { name: "Orders", weight: 1, columns: ordersColumns },
  { name: "archive.orders", weight: 1, columns: ordersColumns },
  { name: "recent", weight: 1, columns: ordersColumns },
  {
    name: "customers",
    weight: 4,
    columns: [
      ["id", "int"],
      ["name", "text"],
      ["region", "int"],
      ["referrer", "int"],
    ],
  },
  {
    name: "items",
    weight: 3,
    columns: [
      ["id", "int"],
      ["order_id", "int"],
      ["product_id", "int"],
      ["quantity", "int"],
    ],
  },
  {
    name: "products",
    weight: 1,
    columns: [
      ["id", "int"],
      ["name", "text"],
      ['"Price"', "int"],
    ],
  },
];

/** Draws statements over the schema: always valid, and with one result whatever the plan. */
export const statementGenerator = (random: Random): (() => QueryShape) => {
  let values: (number | string)[] = [];
  let aliases = 0;

  const chance = (share: number): boolean => random() < share;
  const below = (n: number): number => Math.floor(random() * n);
  const pick = <T>(all: readonly T[]): T => all[below(all.length)] as T;
  const alias = (): string => pick(["t#", "o#", "x#", "a_b#", '"Q#"']).replace("#", String((aliases += 1)));

  const value = (kind: Kind): string => {
    const [written, typed] = {
      int: [String(pick([below(30), below(120), below(900)])), "int"],
      numeric: [String(below(1000)), "numeric"],
      text: [`'${pick(["new", "paid", "sent", "note 7", "customer 7", "it''s", "ä€😀", "--", "/* or */"])}'`, "text"],
      date: [`date '20${20 + below(2)}-0${1 + below(9)}-1${below(9)}'`, "date"],
    }[kind] as [string, string];
    if (!chance(0.4) || kind === "date") return written;
    values.push(kind === "text" ? written.slice(1, -1).replaceAll("''", "'") : Number(written));
    return `$${values.length}::${typed}`;
  };

  const column = (scope: readonly Visible[], kind?: Kind): { text: string; kind: Kind } => {
    const fitting = scope.flatMap(({ alias, columns }) =>
      columns
        .filter(([, one]) => kind === undefined || one === kind)
        .map(([name, one]) => ({ text: `${alias}.${name}`, kind: one })),
    );
    const likely = fitting.filter(({ text }) => text.endsWith("customer_id"));
    if (likely.length > 0 && chance(0.4)) return pick(likely);
    return fitting.length > 0 ? pick(fitting) : { text: value(kind ?? "int"), kind: kind ?? "int" };
  };

  const comparison = (scope: readonly Visible[], depth: number): string => {
    const one = column(scope);
    const { text, kind } = one;
    const form = below(depth > 0 ? 15 : 11);
    if (form < 4) return `${text} ${form < 3 ? "=" : pick(["<", ">", "<=", ">=", "<>"])} ${value(kind)}`;
    if (form === 4) return `${text} ${pick(["=", "=", "<"])} ${column(scope, kind).text}`;
    if (form === 5) return `${text} ${pick(["", "not "])}in (${[1, 2, 3].map(() => value(kind)).join(", ")})`;
    if (form === 6) return `${text} between ${value(kind)} and ${value(kind)}`;
    if (form === 7) return `${text} is ${pick(["", "not "])}null`;
    if (form === 8) return `${text} is ${pick(["", "not "])}distinct from ${value(kind)}`;
    if (form === 9)
      return `case when ${text} is null then ${pick(["true", "false"])} else ${text} > ${value(kind)} end`;
    if (form === 10)
      return kind === "text"
        ? `left(${text}, 4) = ${value("text")}`
        : `coalesce(${text}, ${value(kind)}) <> ${value(kind)}`;
    if (form === 11)
      return `${column(scope, "int").text} ${pick(["", "not "])}in (${subquery(scope, depth - 1, "int")})`;
    if (form === 12)
      return `${column(scope, "int").text} = (select max(m.id) from (${subquery(scope, depth - 1, "int")}) m (id))`;
    return `${pick(["", "not "])}exists (${subquery(scope, depth - 1)})`;
  };

  const condition = (scope: readonly Visible[], depth: number): string => {
    const form = below(10);
    if (form < 5) return comparison(scope, depth);
    if (form < 7) return `${condition(scope, depth)} and ${comparison(scope, depth)}`;
    if (form < 8) return `${comparison(scope, depth)} or ${comparison(scope, depth)}`;
    if (form < 9) return `(${condition(scope, 0)} or ${comparison(scope, 0)}) and (${condition(scope, 0)})`;
    return `not (${condition(scope, 0)})`;
  };

  const tableItem = (): { text: string; visible: Visible } => {
    const drawn = below(tables.reduce((sum, { weight }) => sum + weight, 0));
    let passed = 0;
    const { name, columns } = tables.find(({ weight }) => (passed += weight) > drawn) ?? pick(tables);
    const bare = name.split(".").at(-1)?.toLowerCase() ?? name;
    // Without an alias, a table could come twice under one name.
    const own = chance(0.03) ? bare : alias();
    return {
      text:
        own === bare
          ? name
          : `${pick(["", "", "only "])}${name} ${pick(["", "as "])}${own}`.replace("only recent", "recent"),
      visible: { alias: own, columns },
    };
  };

  const fromItem = (outer: readonly Visible[], depth: number): { text: string; visible: readonly Visible[] } => {
    if (depth > 0 && chance(0.12)) {
      const name = alias();
      const inner = tableItem();
      const lateral = chance(0.3) && outer.length > 0;
      const where = condition(lateral ? [inner.visible, ...outer] : [inner.visible], 0);
      return {
        text: `${lateral ? "lateral " : ""}(select ${inner.visible.alias}.* from ${inner.text} where ${where}) ${name}`,
        visible: [{ alias: name, columns: inner.visible.columns }],
      };
    }
    const one = tableItem();
    return { text: one.text, visible: [one.visible] };
  };

  const from = (depth: number): { text: string; visible: readonly Visible[] } => {
    let { text, visible } = fromItem([], depth);
    const joins = pick([0, 0, 0, 1, 1, 2]);
    for (let i = 0; i < joins; i += 1) {
      const bracketed = chance(0.15);
      const one = tableItem();
      const other = bracketed ? tableItem() : null;
      const right =
        other === null ? one.text : `(${one.text} join ${other.text} on ${equal([one.visible], [other.visible])})`;
      const rightVisible = other === null ? [one.visible] : [one.visible, other.visible];
      const both = [...visible, ...rightVisible];
      const form = below(20);
      if (form === 0) text = `${text} full join ${right} on ${equal(visible, rightVisible)}`;
      else if (form === 1 && other === null && visible.length === 1)
        text = `${text} ${pick(["", "left "])}join ${right} using (id)`;
      // What stands before a comma cannot be seen in a later ON.
      else if (form < 4 && i === joins - 1) text = `${text}, ${right}`;
      else {
        const kind = pick(["join", "inner join", "left join", "left outer join", "right join"]);
        const extra = chance(0.4) ? ` ${pick(["and", "and", "or"])} ${comparison(both, 0)}` : "";
        text = `${text} ${kind} ${right} on ${equal(visible, rightVisible)}${extra}`;
      }
      visible = both;
    }
    return { text, visible };
  };

  /** Joins by something selective, so that results stay small. */
  const equal = (left: readonly Visible[], right: readonly Visible[]): string => {
    const key = (side: readonly Visible[]): string => {
      const names = side.flatMap(({ alias, columns }) =>
        columns.filter(([name]) => /^(id|customer_id|order_id|parent)$/.test(name)).map(([name]) => `${alias}.${name}`),
      );
      return pick(names);
    };
    return `${key(left)} = ${key(right)}`;
  };

  const subquery = (outer: readonly Visible[], depth: number, kind?: Kind): string => {
    const inner = tableItem();
    const scope = chance(0.7) ? [inner.visible, ...outer] : [inner.visible];
    const correlated = scope.length > 1 && chance(0.6) ? `${equal([inner.visible], outer)} and ` : "";
    const output = kind === undefined ? pick(["1", "", "*"]) : column([inner.visible], kind).text;
    const where = `${correlated}(${condition(scope, depth)})`;
    return `select ${output} from ${inner.text} where ${where}`;
  };

  const select = (depth: number): string => {
    const { text, visible } = from(depth);
    // A join by a comma has its condition here.
    const links = visible.slice(1).map((one, i) => equal(visible.slice(0, i + 1), [one]));
    const needed = text.includes(", ") ? links.join(" and ") : "";
    const own = chance(0.85) ? condition(visible, depth) : "";
    const where = [needed, needed !== "" && own !== "" ? `(${own})` : own].filter((part) => part !== "").join(" and ");
    const filter = where === "" ? "" : ` where ${where}`;
    const form = below(10);
    if (form < 2) {
      const by = column(visible).text;
      const having = chance(0.3) ? " having count(*) > 1" : "";
      return `select ${by}, count(*), min(${column(visible, "int").text}) from ${text}${filter} group by ${by}${having}`;
    }
    if (form === 2)
      return `select count(*), sum(${column(visible, "int").text}), max(${column(visible).text}) from ${text}${filter}`;
    if (form === 3)
      return `select distinct ${column(visible).text} as d from ${text}${filter}${pick(["", " order by 1"])}`;
    const output = visible.map(({ alias }) => `${alias}.id`);
    const more = [
      column(visible).text,
      ...(chance(0.15) ? [`(${subquery(visible, 0, "int").replace(/^select (\S+)/, "select max($1)")})`] : []),
    ];
    const list = chance(0.15) ? "*" : [...output, ...more].join(", ");
    // Every FROM item has a unique `id`: together they order completely, but for equal rows.
    const order = chance(0.3)
      ? ` order by ${[column(visible).text, ...output].join(", ")}${chance(0.5) ? ` limit ${1 + below(20)}${pick(["", " offset 2"])}` : ""}`
      : "";
    const lock = order === "" && chance(0.05) && !/left|right|full|recent/.test(text) ? " for update" : "";
    return `select ${list} from ${text}${filter}${order === "" ? lock : list === "*" ? "" : order}`;
  };

  const query = (): string => {
    const form = below(20);
    if (form === 0) {
      const name = pick(["w1", "orders", "cte"]);
      const inner = tableItem();
      return `with ${name} as ${pick(["", "materialized "])}(select ${inner.visible.alias}.* from ${inner.text} where ${condition([inner.visible], 1)}) select count(*), min(z.id) from ${name} z where z.id > ${value("int")}`;
    }
    if (form === 1) {
      const [a, b] = [tableItem(), tableItem()];
      const arm = ({ text, visible }: ReturnType<typeof tableItem>): string =>
        `select ${visible.alias}.id from ${text} where ${condition([visible], 1)}`;
      return `${arm(a)} ${pick(["union", "union all", "intersect", "except"])} ${arm(b)}`;
    }
    return select(1);
  };

  const modification = (): string => {
    const name = alias();
    const target = pick(["orders", "public.orders", "orders", "items"]);
    const columns = target === "items" ? (tables[6]?.columns ?? []) : ordersColumns;
    const scope: Visible = { alias: name, columns };
    const other = alias();
    const customers: Visible = { alias: other, columns: tables[5]?.columns ?? [] };
    const joined = chance(0.3) && target !== "items";
    const where = joined
      ? `${other}.id = ${name}.customer_id and (${condition([scope, customers], 0)})`
      : condition([scope], 1);
    const set =
      target === "items"
        ? `quantity = ${name}.quantity + 1`
        : pick(["note = 'changed'", `customer_id = ${value("int")}`, `total = ${name}.total + 1`]);
    const form = below(4);
    if (form === 0)
      return `delete from ${target} ${name}${joined ? ` using customers ${other}` : ""} where ${where} returning ${name}.id`;
    if (form === 1)
      return `insert into archive.orders select ${name}.* from orders ${name} where ${condition([scope.columns === ordersColumns ? scope : { alias: name, columns: ordersColumns }], 1)} returning id`;
    return `update ${target} as ${name} set ${set}${joined ? ` from customers ${other}` : ""} where ${where}${pick([" returning *", ` returning ${name}.id`])}`;
  };

  return () => {
    values = [];
    aliases = 0;
    const drawn = chance(0.12) ? modification() : query();
    // Some were drawn for parts that were not used.
    const used: (number | string)[] = [];
    const text = drawn.replaceAll(/\$(\d+)/g, (_, n: string) => `$${used.push(values[Number(n) - 1] ?? "")}`);
    return { text, values: used };
  };
};
