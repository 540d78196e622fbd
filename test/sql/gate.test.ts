import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { gate as generated } from "../../bench/gate/schema.ts";
import { statementGenerator } from "../../bench/gate/generator.ts";
import { seededRandom } from "../../src/runtime/index.ts";
import {
  addGate,
  fingerprintOf,
  type Gate,
  gateCondition,
  loadParser,
  normalise,
  shapeOf,
  spliced,
  withoutGates,
} from "../../src/sql/index.ts";

beforeAll(loadParser);

const gate: Gate = {
  table: { schema: "public", name: "orders" },
  column: "customer_id",
  number: 4711,
  bareName: true,
};

/** `⟦o⟧` stands for the gate of the table as `o`. */
const withGates = (text: string): string =>
  text.replaceAll(/⟦(\w+)⟧/g, (_, alias: string) => gateCondition(gate, alias));
const tight = (text: string): string => text.replaceAll(/\s+/g, " ").replaceAll(" )", ")").trim();

describe("the gate is put", () => {
  it.each([
    // WHERE that is not there yet, before whatever follows FROM
    ["select * from orders", "select * from orders where ⟦orders⟧"],
    ["select * from orders;", "select * from orders where ⟦orders⟧ ;"],
    ["select * from orders -- all", "select * from orders where ⟦orders⟧ -- all"],
    ["select a from Orders o group by a", "select a from Orders o where ⟦o⟧ group by a"],
    ["select a from only orders order by a limit 1", "select a from only orders where ⟦orders⟧ order by a limit 1"],
    ["select a from public.orders for update", "select a from public.orders where ⟦orders⟧ for update"],
    ["select a from orders union select 1", "select a from orders where ⟦orders⟧ union select 1"],
    [
      "select sum(a) over w from orders window w as (order by a)",
      "select sum(a) over w from orders where ⟦orders⟧ window w as (order by a)",
    ],
    ["select o.end from orders o offset 1", "select o.end from orders o where ⟦o⟧ offset 1"],
    ["update orders set a = 1 returning a", "update orders set a = 1 where ⟦orders⟧ returning a"],
    ["update orders o set a = x.b from x", "update orders o set a = x.b from x where ⟦o⟧"],
    ["delete from orders", "delete from orders where ⟦orders⟧"],
    ["delete from x using orders o", "delete from x using orders o where ⟦o⟧"],
    [
      "insert into x select * from orders on conflict do nothing",
      "insert into x select * from orders where ⟦orders⟧ on conflict do nothing",
    ],
    // before the condition that is there
    ["select * from orders where a = $1", "select * from orders where ⟦orders⟧ and a = $1"],
    ["select * from orders where(a)", "select * from orders where ⟦orders⟧ and (a)"],
    ["select * from orders where (a and b) and c", "select * from orders where ⟦orders⟧ and (a and b) and c"],
    ["select * from orders where not a = 1", "select * from orders where ⟦orders⟧ and not a = 1"],
    ["select * from orders where a or b order by a", "select * from orders where ⟦orders⟧ and ( a or b) order by a"],
    ["select * from orders where 'ü€😀' = x or y", "select * from orders where ⟦orders⟧ and ( 'ü€😀' = x or y)"],
    ["select * from orders where a is distinct from b", "select * from orders where ⟦orders⟧ and a is distinct from b"],
    [
      "update orders set a = 1 where b or c returning 1",
      "update orders set a = 1 where ⟦orders⟧ and ( b or c) returning 1",
    ],
    // in the query that scans the table
    [
      "select 1 from x where exists (select from orders o where o.a = x.a)",
      "select 1 from x where exists (select from orders o where ⟦o⟧ and o.a = x.a)",
    ],
    ["select (select max(a) from orders) from x", "select (select max(a) from orders where ⟦orders⟧ ) from x"],
    [
      "with y as (select * from orders) select * from y",
      "with y as (select * from orders where ⟦orders⟧ ) select * from y",
    ],
    [
      "select * from x, lateral (select * from orders o limit x.n) l",
      "select * from x, lateral (select * from orders o where ⟦o⟧ limit x.n) l",
    ],
    [
      "select * from orders a, orders b where a.x = b.y",
      "select * from orders a, orders b where ⟦a⟧ and ⟦b⟧ and a.x = b.y",
    ],
    // inner joins and kept sides: WHERE
    ["select 1 from x join orders o on o.a = x.a", "select 1 from x join orders o on o.a = x.a where ⟦o⟧"],
    ["select 1 from x join orders using (a) where b", "select 1 from x join orders using (a) where ⟦orders⟧ and b"],
    ["select 1 from (x cross join orders o) where b", "select 1 from (x cross join orders o) where ⟦o⟧ and b"],
    ["select 1 from orders o left join x on x.a = o.a", "select 1 from orders o left join x on x.a = o.a where ⟦o⟧"],
    // optional sides: the nearest ON
    ["select 1 from x left join orders o on o.a = x.a", "select 1 from x left join orders o on ⟦o⟧ and o.a = x.a"],
    ["select 1 from orders o right join x on o.a = x.a", "select 1 from orders o right join x on ⟦o⟧ and o.a = x.a"],
    [
      "select 1 from x left join orders o on o.a = x.a or left(o.b, 1) = x.b left join y on true",
      "select 1 from x left join orders o on ⟦o⟧ and ( o.a = x.a or left(o.b, 1) = x.b) left join y on true",
    ],
    [
      "select 1 from x left join (orders o join y on y.a = o.a) on x.a = o.a",
      "select 1 from x left join (orders o join y on y.a = o.a) on ⟦o⟧ and x.a = o.a",
    ],
    [
      "select 1 from x left join orders o join y on y.a or o.a on x.a or o.a where z",
      "select 1 from x left join orders o join y on y.a or o.a on ⟦o⟧ and ( x.a or o.a) where z",
    ],
    [
      "select 1 from orders a left join orders b on b.x = a.x or b.y group by a.z",
      "select 1 from orders a left join orders b on ⟦b⟧ and ( b.x = a.x or b.y) where ⟦a⟧ group by a.z",
    ],
    // MERGE
    [
      "merge into orders o using x on o.a = x.a when matched then delete when not matched then do nothing",
      "merge into orders o using x on ⟦o⟧ and o.a = x.a when matched then delete when not matched then do nothing",
    ],
  ])("%s", (text, expected) => {
    const outcome = addGate(text, gate);
    expect(outcome).toMatchObject({ kind: "rewritten", skipped: [] });
    if (outcome.kind !== "rewritten") return;
    expect(tight(outcome.text)).toBe(tight(withGates(expected)));
    expect(spliced(text, outcome.splices)).toBe(outcome.text);
  });

  it("at the scans it can reach, and says why not at the others", () => {
    const outcome = addGate(
      "select * from orders a full join orders b on true where exists (select from orders c)",
      gate,
    );
    expect(outcome).toMatchObject({ kind: "rewritten", skipped: ["full join", "full join"] });
  });
});

describe("left as it is", () => {
  it.each([
    ["select * from orders full join x on true", "full join"],
    ["select * from x left join orders using (a)", "join without on"],
    ["select * from x natural left join orders", "join without on"],
    ["select * from (x join orders o on true) as j", "join with an alias"],
    ["select * from orders as o (a, b)", "renamed columns"],
    ["select * from public.orders, archive.orders", "ambiguous name"],
    ["with orders as (select 1) select * from orders", "hidden by with"],
    ["update orders set a = 1 where current of c", "where current of"],
    ["select * from orders tablesample system (1)", "tablesample"],
    ["merge into orders o using x on o.a = x.a when not matched by source then delete", "merge keeps all rows"],
    ["merge into x using orders o on o.a = x.a when not matched then insert values (1)", "merge keeps all rows"],
    ["explain select * from orders", "not a query"],
    ["declare c cursor for select * from orders", "not a query"],
    ["select * from orders; select 1", "several statements"],
    ["select * from orders where", "unparsable"],
    ["select '\\' from orders", "backslash before a quote"],
    [`select '${"x".repeat(20_000)}' from orders`, "too long"],
    ["table orders", "not verified"],
  ])("%s: %s", (text, reason) => {
    expect(addGate(text, gate)).toEqual({ kind: "skipped", reasons: [reason] });
  });

  it("a bare name of which nobody knows what table it means", () => {
    const unknown = { ...gate, bareName: false };
    expect(addGate("select * from orders", unknown)).toEqual({ kind: "skipped", reasons: ["unresolved name"] });
    expect(addGate("select * from public.orders", unknown).kind).toBe("rewritten");
  });

  it.each([
    "select 1",
    "select * from x where note = 'orders'",
    "select * from archive.orders",
    'select * from "Orders"',
    "select orders.a from x as orders",
    "insert into orders values (1)",
    "create table archive.orders (a int)",
  ])("%s does not scan the table", (text) => {
    expect(addGate(text, gate)).toEqual({ kind: "untouched" });
  });

  it("whatever the text, nothing is thrown", () => {
    const words =
      "select from orders where and or ( ) on left join a 1 'x' , ; case end order by $1 -- /* \" ' \\".split(" ");
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...words)), (chosen) => {
        expect(["rewritten", "skipped", "untouched"]).toContain(addGate(chosen.join(" "), gate).kind);
      }),
    );
  });
});

describe("a text's shape", () => {
  it.each([
    ["select 'apple', 12, 1.5 from t1 where a = 'it''s'", "select '', 1, 1 from t1 where a = ''"],
    ['select "a\'1", $1, x.y2 from t', 'select "a\'1", $1, x.y2 from t'],
    ["select -1, a[12]", "select -1, a[1]"],
    ["/* trace 'a' */ select 12 -- it's", "/**/ select 1 --"],
  ])("of %s is %s", (text, key) => {
    expect(shapeOf(text)?.key).toBe(key);
  });

  it.each([
    "select e'a'",
    "select date'x'",
    "select $$a$$",
    "select /* a /* b */ */ 1",
    "select 'a\\b'",
    "select x'1f'",
  ])("needs the real lexer in %s", (text) => {
    expect(shapeOf(text)).toBeNull();
  });

  it("has the same places for gates as every text of that shape", () => {
    const templates = [
      "select * from orders where a = ? or b = ? order by c limit ?",
      "/* ? */ select ?, a from x left join orders o on o.a = ? or o.b = ? where x.c = ?",
      "select * from x where b = ? and exists (select ? from orders where c = ?)",
    ];
    const literal = fc.oneof(
      fc.nat().map(String),
      fc.string({ unit: "binary" }).map((text) => `'${text.replaceAll(/[\0\\]/g, "").replaceAll("'", "''")}'`),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...templates),
        fc.array(literal, { minLength: 4, maxLength: 4 }),
        (template, values) => {
          let next = 0;
          const text = template.replaceAll("?", () => values[(next += 1) % 4] ?? "");
          const shape = shapeOf(text);
          const direct = addGate(text, gate);
          if (shape === null) throw new Error(`no shape: ${text}`);
          const byShape = addGate(shape.key, gate);
          if (byShape.kind !== "rewritten" || direct.kind !== "rewritten") throw new Error(`not rewritten: ${text}`);
          const moved = byShape.splices.map(({ at, insert }) => ({ at: shape.positionInText(at), insert }));
          expect(spliced(text, moved)).toBe(direct.text);
        },
      ),
    );
  });
});

describe("the gate is taken out again", () => {
  const random = statementGenerator(seededRandom(11));
  const texts = Array.from({ length: 400 }, () => random().text);

  it("of what the server has normalised: the statement is the one it was", () => {
    let rewritten = 0;
    for (const text of texts) {
      const outcome = addGate(text, generated);
      expect(withoutGates(text)).toBeNull();
      if (outcome.kind !== "rewritten") continue;
      rewritten += 1;
      const plain = withoutGates(normalise(outcome.text) ?? "") ?? "";
      expect(fingerprintOf(plain), outcome.text).toBe(fingerprintOf(text));
    }
    expect(rewritten).toBeGreaterThan(200);
  });

  it("and nothing that only looks like it", () => {
    expect(withoutGates("select 1 from orders where (case when a is null then 1 else 2 end) is not null")).toBeNull();
  });
});
