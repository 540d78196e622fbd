import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import {
  analyseAccess,
  fingerprintOf,
  loadParser,
  normalise,
  parameterUses,
  parseStatement,
  splitStatements,
  substituteParameters,
  toSelect,
} from "../../src/sql/index.ts";

beforeAll(loadParser);

describe("parsing", () => {
  it.each([
    ["select 1", "select"],
    ["values (1)", "select"],
    ["with x as (delete from t returning a) select * from x", "select"],
    ["insert into t default values", "insert"],
    ["merge into t using s on a = b when matched then delete", "merge"],
    ["create table t (a int)", "utility"],
    ["select 1 into t", "utility"],
    ["explain select 1", "utility"],
  ])("knows the verb of %s", (sql, verb) => {
    expect(parseStatement(sql)).toMatchObject({ kind: "parsed", statement: { verb } });
  });

  it.each([
    ["select '😀é' fromm; a", 20],
    ["select 1; select 2", 10],
    ["", 0],
    ["-- nothing", 0],
    ["select 'open", 7],
    ["select 1 \0", 9],
  ])("says where %j goes wrong", (sql, cursor) => {
    expect(parseStatement(sql)).toMatchObject({ kind: "unparsable", cursor });
  });

  it("refuses what is nested too deeply or too long, and goes on working", () => {
    for (const sql of [
      `select ${"(".repeat(20_000)}1${")".repeat(20_000)}`,
      `select 1${"+1".repeat(1_200)}`,
      `select 1${"+1".repeat(5_000)}`,
      `select '${"x".repeat(1_000_001)}'`,
    ]) {
      expect(parseStatement(sql).kind).toBe("unparsable");
      expect(fingerprintOf(sql)).toBeNull();
    }
    expect(parseStatement("select 1").kind).toBe("parsed");
  });

  it("reads what is nested as deeply as is allowed", () => {
    for (const sql of [
      `select a${"+1".repeat(900)} from t`,
      `select a from t where ${"not ".repeat(450)}a`,
      `select ${"coalesce(a,".repeat(450)}1${")".repeat(450)} from t`,
    ]) {
      const parsed = parseStatement(sql);
      if (parsed.kind === "unparsable") throw new Error(parsed.message);
      expect(analyseAccess(parsed.statement, () => ({ schema: "s", name: "t", columns: ["a"] })).accesses).toHaveLength(
        1,
      );
    }
  });

  it("finds parameters behind literals and names of any characters", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (value) => {
        fc.pre(!value.includes("\0"));
        const sql = `select '${value.replaceAll("'", "''")}' as "x${value.replaceAll('"', '""')}", $1`;
        expect(substituteParameters(sql, () => "2")).toBe(`${sql.slice(0, -2)}2`);
      }),
    );
  });

  it("never throws, whatever the text", () => {
    const words = [
      "select",
      "from",
      "where",
      "(",
      ")",
      "'",
      '"',
      "$1",
      "t",
      "a.b",
      "*",
      ",",
      ";",
      "--",
      "/*",
      "é",
      "😀",
      "for update",
      "\\",
    ];
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(fc.constantFrom(...words)).map((parts) => parts.join(" ")),
        ),
        (text) => {
          parseStatement(text);
          splitStatements(text);
          fingerprintOf(text);
          normalise(text);
          toSelect(text);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("gives one fingerprint to texts that differ in values and list lengths only", () => {
    const first = fingerprintOf("select a from t where b in ($1, $2)");
    expect(first).toMatch(/^[0-9a-f]{16}$/);
    expect(fingerprintOf("SELECT a FROM t WHERE b IN ('x')")).toBe(first);
    expect(fingerprintOf("select a from t where c in ($1)")).not.toBe(first);
    expect(fingerprintOf("select 'open")).toBeNull();
    expect(normalise("select 1 where a = 'x'")).toBe("select $1 where a = $2");
  });

  it("splits files at the parser's positions, also behind characters of several bytes", () => {
    const text = "-- first: é😀\nselect 'é😀;' ;\n\n/* weight */ select 2 -- two\n;;\n";
    expect(splitStatements(text)).toEqual({
      kind: "parsed",
      parts: [
        { text: "select 'é😀;'", line: 2, comments: ["-- first: é😀"] },
        { text: "select 2", line: 4, comments: ["/* weight */", "-- two"] },
      ],
    });
  });
});

describe("parameters", () => {
  const columns = ["a", "b", "c"];
  const lookup = (_: string | null, name: string) => (name === "t" ? { schema: "s", name, columns } : undefined);
  const usesOf = (sql: string): readonly string[] => {
    const parsed = parseStatement(sql);
    if (parsed.kind === "unparsable") throw new Error(parsed.message);
    return [...parameterUses(parsed.statement, lookup)]
      .sort(([x], [y]) => x - y)
      .map(([, { column, operator, castTo, writeAs }]) =>
        [
          column === null ? "-" : `${column.alias}.${column.column}`,
          operator,
          ...(castTo === null ? [] : [`::${castTo}`]),
          ...(writeAs === "quoted" ? [] : [writeAs]),
        ].join(" "),
      );
  };

  it.each<[string, readonly string[]]>([
    ["select * from t where a = $1 and $2 > b", ["t.a =", "t.b <"]],
    ["select * from t x where x.a in ($1, $2) and b = any ($3)", ["x.a in", "x.a in", "t.b any".replace("t.", "x.")]],
    ["select * from t where a between $1 and $2 limit $3 offset $4", ["t.a low", "t.a high", "- limit", "- offset"]],
    ["select * from t where a like $1 and b ilike $2", ["t.a like", "t.b ilike"]],
    ["select * from t where (a, b) > ($1, $2)", ["t.a >", "t.b >"]],
    ["select * from t where a < date $1 and b = $2::int4", ["t.a < ::date", "t.b = ::int4"]],
    ["select * from t where a <= date $1 - interval $2", ["t.a <= ::date", "- value ::interval"]],
    ["select * from t where a > now() - $1", ["- value interval"]],
    ["select * from t where a = b + $1", ["t.b value addend"]],
    ["select * from t where lower(a) = $1", ["t.a ="]],
    ["select * from t where length(a) = $1", ["- ="]],
    ["select * from t where a = any (array[$1, $2])", ["t.a in element", "t.a in element"]],
    ["select sum(case when a = $1 then $2 else $3 end) from t", ["t.a =", "- value number", "- value number"]],
    [
      "select coalesce(a, $1), extract($2 from b), date_trunc($3, c) from t",
      ["t.a value", "- time unit", "- time unit"],
    ],
    ["update t set a = $1, (b, c) = ($2, $3) where a = $1", ["t.a set", "t.b set", "t.c set"]],
    ["insert into t (b, a) values ($1, $2), ($3, $4)", ["t.b insert", "t.a insert", "t.b insert", "t.a insert"]],
    ["insert into t select $1, b from t u where c = $2", ["t.a insert", "u.c ="]],
    ["select * from u where a = $1", ["- ="]],
    ["select * from t where exists (select from u where u.x = $1 and t.a = $2)", ["- =", "t.a ="]],
    ["select * from t where $1 in (select b from t)", ["t.b in"]],
    ["select * from t where a @> $1 or not (b <> $2)", ["t.a value", "t.b <>"]],
  ])("%s", (sql, expected) => {
    expect(usesOf(sql)).toEqual(expected);
  });

  it("are replaced at their positions and nowhere else", () => {
    expect(substituteParameters("select '$1', \"$1\", é, $2 -- $1\n, $1", (n) => `<${n}>`)).toBe(
      "select '$1', \"$1\", é, <2> -- $1\n, <1>",
    );
    expect(substituteParameters("a in ($1 /*, ... */)", (_, squashed) => (squashed ? "1, 2" : "1"))).toBe(
      "a in (1, 2 /*, ... */)",
    );
  });
});

describe("the SELECT behind a statement", () => {
  it.each<[string, string | null]>([
    ["select a from t where b = 1", "select a from t where b = 1"],
    ["select a from t where b = 1 for update of t skip locked", "select a from t where b = 1"],
    ["select a from t for no key update nowait limit 3", "select a from t  limit 3"],
    ["select a from t for update of t, u for share", "select a from t"],
    ["select a from (select b from t for update) x", "select a from (select b from t ) x"],
    ["update t set a = 1 where b = 2 returning *", 'select "t".ctid from t where b = 2'],
    [
      "update only t as x set a = x.b is distinct from 3 from u where u.k = x.k",
      'select "x".ctid from only t as x, u where u.k = x.k',
    ],
    ["update t set a = (select max(b) from u where c = 1)", 'select "t".ctid from t'],
    [
      "update jobs set state = $1 where id in (select id from jobs where state = $2 order by id for update skip locked limit $3)",
      'select "jobs".ctid from jobs where id in (select id from jobs where state = $2 order by id  limit $3)',
    ],
    [
      "with x as (select 1 as k) update t set a = 1 from x where t.k = x.k",
      'with x as (select 1 as k) select "t".ctid from t, x where t.k = x.k',
    ],
    ["delete from s.t where a = 1 -- old", 'select "t".ctid from s.t where a = 1'],
    [
      "delete from t x using u join v using (k) where x.k = u.k;",
      'select "x".ctid from t x, u join v using (k) where x.k = u.k',
    ],
    [
      "merge into t using u on t.k = u.k when matched then update set a = 1",
      'select "t".ctid from u join t on t.k = u.k',
    ],
    [
      "merge into t x using (select * from u) s on x.k = s.k when matched then delete when not matched then insert values (1)",
      'select "x".ctid from (select * from u) s left join t x on x.k = s.k',
    ],
    ["insert into t (a) select b from u where c = 1 on conflict do nothing returning a", "select b from u where c = 1"],
    ["insert into t values (1)", null],
    ["delete from t where current of c", null],
    ["with x as (delete from t returning *) select * from x", null],
    ["create table t ()", null],
    ["not sql", null],
  ])("%s", (sql, expected) => {
    expect(toSelect(sql)).toBe(expected);
  });
});
