import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Catalog, Column, Table } from "../../src/domain/index.ts";
import { loadParser } from "../../src/sql/index.ts";
import { bigTable, catalog as catalogOf, column as columnOf, statistics } from "../catalog.ts";
import { readQueryFiles, workloadFromFiles } from "../../src/workload/index.ts";

const column = (name: string, baseType: string, histogramBounds: string | null): Column =>
  columnOf(name, {
    type: baseType,
    baseType,
    statistics: histogramBounds === null ? null : { ...statistics(-1), histogramBounds },
  });

const table = (schema: string, name: string, columns: readonly Column[]): Table =>
  bigTable(name, columns, { schema, tuples: 1000, pages: 10, blocks: 10 });

const bounds = `{${Array.from({ length: 101 }, (_, i) => i * 10).join(",")}}`;
const catalog: Catalog = {
  ...catalogOf([
    table("app", "t", [column("a", "int4", bounds), column("b", "text", null)]),
    table("late", "hidden", [column("a", "int4", bounds)]),
  ]),
  schemas: ["app", "late"],
  views: [{ schema: "app", name: "hidden", definition: "select 1" }],
};

const workloadOf = (text: string, file = "q.sql") =>
  workloadFromFiles({ files: [{ path: file, text }], catalog, searchPath: ["app", "late"], role: "app", seed: 1 });

beforeAll(loadParser);

describe("a file of SQL", () => {
  it("gives one statement each, weighted by a comment in front of it", () => {
    const { statements, source } = workloadOf(
      "-- indexpilot: weight=10\nselect a from t;\nselect b from t where a = 5;\n/* indexpilot: weight=0.5 */ delete from t",
      "dir/queries.sql",
    );
    expect(source).toBe("files");
    expect(statements.map(({ label, calls, verb }) => [label, calls, verb])).toEqual([
      ["queries.sql #1", 10, "select"],
      ["queries.sql #2", 1, "select"],
      ["queries.sql #3", 0.5, "delete"],
    ]);
    expect(statements[1]).toMatchObject({
      text: "select b from t where a = 5",
      totalMs: null,
      queryId: null,
      bindings: [{ sql: "select b from t where a = 5", share: 1, source: "literal" }],
    });
  });

  it("keeps texts of one shape apart, under stable ids of their own", () => {
    const ids = workloadOf("select a from t where a = 1; select a from t where a = 2").statements.map(({ id }) => id);
    expect(new Set(ids).size).toBe(2);
    expect(ids[0]).toMatch(/^[0-9a-f]{16}-[0-9a-f]{8}$/);
  });

  it("puts the two ends of a range in order, some narrow and some wide", () => {
    const [statement] = workloadOf("select 1 from t where a >= $1 and $2 > a").statements;
    const ranges = statement?.bindings.map(({ sql }) =>
      (sql.match(/'(-?\d+)'/g) ?? []).map((value) => Number(value.slice(1, -1))),
    );
    expect(ranges).toHaveLength(3);
    expect(ranges?.map(([low = 0, high = 0]) => high - low)).toEqual([10, 50, 200]);
  });

  it("says which values are guesses", () => {
    const sources = (text: string) =>
      workloadOf(text).statements.flatMap(({ bindings }) => bindings.map(({ source }) => source));
    expect(sources("select 1 from t where b = $1")).toEqual(["guess"]);
    expect(sources("select 1 from t where a = $1 limit $2")).toEqual(["statistics", "statistics", "statistics"]);
  });

  it.each<[string, RegExp]>([
    ["create index on t (a)", /not a query/],
    ["select * from nowhere", /no table or view nowhere under search path app, late/],
    ["select * from other.t", /no table or view other\.t/],
  ])("declines %s, with the reason", (text, reason) => {
    const workload = workloadOf(text);
    expect(workload.statements).toEqual([]);
    expect(workload.declined).toEqual([
      { label: "q.sql", fingerprint: expect.any(String) as string, reason: expect.stringMatching(reason) as string },
    ]);
  });

  it("keeps statements on views, which hide tables of that name further down the path", () => {
    const [statement] = workloadOf("select * from hidden where a = $1").statements;
    expect(statement?.bindings).toEqual([{ sql: "select * from hidden where a = '1'", share: 1, source: "guess" }]);
  });

  it("is refused with file and line when it is no SQL", () => {
    expect(() => workloadOf("select 1;\n\nselect 'é' fromm t where\n")).toThrow(
      /^q\.sql:3: not valid SQL: syntax error/,
    );
    expect(() => workloadOf("-- indexpilot: weight=-1\nselect 1")).toThrow(/weight=-1 is not a positive number/);
    expect(() => workloadOf("-- nothing here\n")).toThrow(/no statement/);
  });
});

describe("finding files", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), "indexpilot-files-"));
    await mkdir(path.join(directory, "deep"));
    for (const name of ["b.sql", "a.sql", "c.txt", "[x].sql", "deep/d.sql"]) {
      await writeFile(path.join(directory, name), `select '${name}'`);
    }
  });
  afterAll(() => rm(directory, { recursive: true }));

  const names = async (patterns: readonly string[], exclude: readonly string[] = [], base = directory) =>
    (
      await readQueryFiles(
        patterns.map((pattern) => `${base}/${pattern}`),
        exclude,
      )
    ).map(({ path: file }) => path.relative(directory, file));

  it.each<[readonly string[], readonly string[], readonly string[]]>([
    [["*.sql"], [], ["[x].sql", "a.sql", "b.sql"]],
    [["**/*.sql"], [], ["[x].sql", "a.sql", "b.sql", "deep/d.sql"]],
    [["b.sql", "?.sql"], [], ["b.sql", "a.sql"]],
    [["{a,c}.*"], [], ["a.sql", "c.txt"]],
    [["[x].sql"], [], ["[x].sql"]],
    [["**/*.sql"], ["[ab].sql", "**/deep/*"], ["[x].sql"]],
  ])("%j without %j", async (patterns, exclude, expected) => {
    expect(await names(patterns, exclude)).toEqual(expected);
    const relative = path.relative(process.cwd(), directory);
    expect(await names(patterns, exclude, relative)).toEqual(expected);
    expect(await names(patterns, exclude, `./${relative}/.`)).toEqual(expected);
  });

  it("reads their texts", async () => {
    expect(await readQueryFiles([`${directory}/a.sql`], [])).toEqual([
      { path: `${directory}/a.sql`, text: "select 'a.sql'" },
    ]);
  });

  it("skips a byte order mark, at the beginning only", async () => {
    const file = path.join(directory, "mark.txt");
    await writeFile(file, "\uFEFFselect '\uFEFF'");
    expect(await readQueryFiles([file], [])).toEqual([{ path: file, text: "select '\uFEFF'" }]);
  });

  it("refuses what is not UTF-8, with file and line", async () => {
    const file = path.join(directory, "latin1.txt");
    await writeFile(file, Buffer.from("select 1;\n\nselect 'caf\u00e9';\n", "latin1"));
    await expect(readQueryFiles([file], [])).rejects.toMatchObject({
      code: "query_file_not_utf8",
      message: `${file}:3: not UTF-8`,
    });
    // A character that the end of the file cuts off.
    await writeFile(file, Buffer.from("select 1;\n-- \u00e9").subarray(0, -1));
    await expect(readQueryFiles([file], [])).rejects.toMatchObject({ message: `${file}:2: not UTF-8` });
  });

  it("is an error when nothing is left", async () => {
    await expect(readQueryFiles([`${directory}/*.sq`], [])).rejects.toMatchObject({ code: "workload_empty" });
    await expect(readQueryFiles(["/nowhere/*.sql"], [])).rejects.toMatchObject({ code: "workload_empty" });
    await expect(readQueryFiles([`${directory}/a.sql`], ["a.*"])).rejects.toMatchObject({ code: "workload_empty" });
  });
});
