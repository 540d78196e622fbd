import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type DefaultTreeAdapterTypes, defaultTreeAdapter, parse } from "parse5";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { until } from "../rollout/fixtures/target.ts";
import { indexpilot, type Ran } from "./run.ts";

type Node = DefaultTreeAdapterTypes.ChildNode;
type Element = DefaultTreeAdapterTypes.Element;

const elementsOf = (nodes: readonly Node[]): readonly Element[] =>
  nodes.flatMap((node) => (defaultTreeAdapter.isElementNode(node) ? [node, ...elementsOf(node.childNodes)] : []));
const textOf = (nodes: readonly Node[]): string =>
  nodes
    .map((node) => {
      if (defaultTreeAdapter.isTextNode(node)) return node.value;
      if (!defaultTreeAdapter.isElementNode(node)) return "";
      const text = textOf(node.childNodes);
      return ["td", "th", "br"].includes(node.tagName) ? `${text} ` : text;
    })
    .join("");
const attribute = (element: Element, name: string): string | undefined =>
  element.attrs.find((one) => one.name === name)?.value;

/** A page without any error of the HTML standard's parser. */
const read = async (file: string) => {
  const errors: string[] = [];
  const elements = elementsOf(
    parse(await readFile(file, "utf8"), {
      sourceCodeLocationInfo: true,
      onParseError: ({ code, startLine }) => errors.push(`${code} in line ${String(startLine)}`),
    }).childNodes,
  );
  const section = (id: string): string =>
    elements
      .filter((one) => attribute(one, "id") === id)
      .map(({ childNodes }) => textOf(childNodes).replaceAll(/\s+/g, " "))
      .join();
  return { errors, elements, section };
};

/** As nasty as PostgreSQL lets a name be: markup, quotes, an entity, a control character, and text that runs backwards. */
const nasty = (what: string): string => `"><script>alert('${what}')</script>&lt;\u0001\u202e${what}`;
const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

describe("the page of health --html", () => {
  let server: EmbeddedServer;
  let admin: Session;
  let file: string;
  const write = (...more: readonly string[]): Promise<Ran> =>
    indexpilot(["health", "--url", server.url(), "--html", file, ...more]);

  beforeAll(async () => {
    server = await startEmbedded({ major: 18, settings: { autovacuum: "off" } });
    file = join(dirname(server.dataDirectory), "health.html");
    const living = await openSession(resolveConnection(server.url(), {}), "build");
    const [schema, index, column] = [quoted(nasty("schema")), quoted(nasty("index")), quoted(nasty("column"))];
    const churned = quoted(nasty("table"));
    await living.script(`
      create schema ${schema};
      create table parent (id int primary key);
      create table child (id int primary key, parent_id int constraint ${quoted(nasty("key"))} references parent, a int, b int);
      insert into parent select n from generate_series(1, 100) n;
      insert into child select n, 1 + n % 100, n % 7, n from generate_series(1, 20000) n;
      create index child_a on child (a); create index child_a_b on child (a, b);
      create table ${schema}.${churned} (id int, ${column} int, label name);
      insert into ${schema}.${churned} select n, (random() * 100000)::int, 'a' || n from generate_series(1, 60000) n;
      create index ${index} on ${schema}.${churned} (${column}); create index labelled on ${schema}.${churned} (label);
      delete from ${schema}.${churned} where id % 4 <> 0`);
    await living.close();
    admin = await openSession(resolveConnection(server.url(), {}), "build");
    await expect(admin.script("create unique index concurrently half on child (a)")).rejects.toThrow("unique");
    await admin.script(`vacuum ${schema}.${churned}`);
    await admin.script(`analyze ${schema}.${churned}`);
    const counted =
      "select from pg_stat_all_tables where relname = $1 and last_analyze is not null and n_mod_since_analyze = 0";
    await until("the counts have arrived", async () => (await admin.query(counted, [nasty("table")])).length > 0);
    expect((await indexpilot(["health", "--url", server.url(), "--record", "--json"])).code).toBe(1);
    // A month of looks in which everything grew more bloated, and a forecast that was right and one that was not.
    await admin.script(`
      insert into indexpilot.index_sample
      select installation_id, index_oid, at - d * interval '1 day', file_node, size_bytes, needed_bytes, entries, bloat * (40 - d) / 40.0, method,
             scans, replica_scans, table_writes, updates, hot_updates
        from indexpilot.index_sample, generate_series(1, 34) d where bloat is not null;
      insert into indexpilot.index_forecast (installation_id, index_oid, file_node, made_at, due_at, value, low, high, achieved)
      select installation_id, index_oid, file_node, at - interval '7 days', at, bloat, bloat - 0.01, bloat + case when d = 3 then -0.005 else 0.01 end, bloat
        from indexpilot.index_sample, generate_series(3, 4) d where bloat is not null and at::date = now()::date - d`);
  });
  afterAll(async () => {
    await admin.close();
    await server.stop();
  });

  test("is well-formed, needs nothing but itself, and says where it was written", async () => {
    const ran = await write();
    expect({ code: ran.code, out: ran.out }).toMatchObject({ code: 1, out: expect.stringContaining(file) });
    const { errors, elements } = await read(file);
    expect(errors).toEqual([]);
    const names = new Set(elements.map(({ tagName }) => tagName));
    for (const one of ["script", "link", "img", "iframe", "object", "form", "base"]) expect(names).not.toContain(one);
    const references = elements.flatMap(({ attrs }) => attrs.filter(({ name }) => ["href", "src"].includes(name)));
    const ids = elements.flatMap((one) => attribute(one, "id") ?? []);
    expect(new Set(ids).size).toBe(ids.length);
    expect(references.filter(({ value }) => !ids.includes(value.slice(1)) || !value.startsWith("#"))).toEqual([]);
    expect(elements.flatMap(({ attrs }) => attrs.filter(({ name }) => name.startsWith("on")))).toEqual([]);
  });

  test("can be heard as well as seen: tables have captions, plots a title and a description", async () => {
    const { elements } = await read(file);
    const ids = new Map(elements.map((one) => [attribute(one, "id"), one]));
    const tables = elements.filter(({ tagName }) => tagName === "table");
    expect(tables.length).toBeGreaterThan(5);
    for (const one of tables)
      expect(elementsOf(one.childNodes).some(({ tagName }) => tagName === "caption")).toBe(true);
    const plots = elements.filter((one) => one.tagName === "svg" && attribute(one, "role") === "img");
    expect(plots.length).toBeGreaterThan(0);
    for (const plot of plots) {
      const [title, description] = (attribute(plot, "aria-labelledby") ?? "").split(" ").map((id) => ids.get(id));
      expect([title?.tagName, description?.tagName]).toEqual(["title", "desc"]);
      expect(textOf(description?.childNodes ?? [])).toMatch(/^Seen: .* looks\. Forecast for .* with 95 % confidence\./);
    }
    for (const one of elements) {
      const isPicture = one.tagName === "svg" && attribute(one, "role") === undefined;
      if (isPicture) expect(attribute(one, "aria-hidden")).toBe("true");
    }
  });

  test("shows every name as it is, whatever it tries", async () => {
    const { section } = await read(file);
    const seen = (name: string): string => quoted(name).replaceAll("\u0001", "␁");
    const index = `${seen(nasty("schema"))}.${seen(nasty("index"))}`;
    for (const id of ["todo", "bloat", "standing"]) expect(section(id)).toContain(index);
    expect(section("bloat")).toContain(`${seen(nasty("schema"))}.${seen(nasty("table"))}`);
    expect(section("foreign-keys")).toContain(nasty("key").replaceAll("\u0001", "␁"));
  });

  test("has the numbers of the JSON, what is withheld and why, and what may go", async () => {
    const { section } = await read(file);
    const report = JSON.parse((await indexpilot(["health", "--url", server.url(), "--json"])).out) as {
      indexes: {
        judgement: { name: string; reason: string };
        bloat: { share?: number; reason?: string; remedy?: string };
        forecast: { at?: { value: number }[] } | null;
      }[];
    };
    const of = (name: string) => report.indexes.find(({ judgement }) => judgement.name === name);
    const bloated = of(nasty("index"));
    const percent = (share: number | undefined): string => `${(100 * (share ?? 0)).toFixed(0)} %`;
    expect(section("bloat")).toContain(`${percent(bloated?.bloat.share)} statistics`);
    expect(section("bloat")).toContain(`${percent(bloated?.forecast?.at?.at(-1)?.value)} in 7 days (`);
    expect(section("withheld")).toContain(of("labelled")?.bloat.reason);
    expect(section("standing")).toContain(of("child_a")?.judgement.reason);
    expect(section("standing")).toContain("drop index concurrently if exists public.half");
    expect(section("foreign-keys")).toContain("create index concurrently on public.child (parent_id)");
    expect(section("statistics")).toContain("analyze public.child");
    expect(section("rebuilds")).toContain("None by IndexPilot");
    expect(section("accuracy")).toMatch(/Of 2 forecasts .* 1 \(50 %\) were within their 95 % interval.*missed/);
  });

  test("replaces a file only when it may, and shows a rebuild; one that a person wanted whatever has no prediction", async () => {
    await writeFile(file, "somebody's own");
    expect(await write()).toMatchObject({ code: 2, err: expect.stringContaining("exists already") });
    expect(await readFile(file, "utf8")).toBe("somebody's own");
    const name = `${nasty("schema")}.${nasty("index")}`;
    expect(await indexpilot(["reindex", name, "--url", server.url(), "--yes"])).toMatchObject({ code: 0 });
    expect(await write("--force")).toMatchObject({ code: 1 });
    const { section, errors } = await read(file);
    expect(errors).toEqual([]);
    expect(section("rebuilds")).toMatch(/[\d.]+ MB – [\d.]+ kB –/);
  });
});
