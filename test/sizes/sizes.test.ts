import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ascending, definitionId, type IndexDefinition, type IndexKey } from "../../src/domain/index.ts";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import {
  openSession,
  readCatalog,
  renderCreateIndex,
  resolveConnection,
  type Session,
} from "../../src/postgres/index.ts";
import { type ShadowPlanner, startShadow } from "../../src/shadow/index.ts";
import { distinctFromSample, sizeErrorOf } from "../../src/sizes/index.ts";

const key = (column: string, more: Partial<IndexKey> = {}): IndexKey => ({ ...ascending(column), ...more });

const on = (keys: readonly (string | IndexKey)[], more: Partial<IndexDefinition> = {}): IndexDefinition => ({
  table: { schema: "public", name: "things" },
  method: "btree",
  keys: keys.map((one) => (typeof one === "string" ? key(one) : one)),
  include: [],
  ...more,
});

const definitions: readonly (readonly [string, IndexDefinition])[] = [
  ["repeated values", on(["customer"])],
  ["two columns", on(["customer", key("placed", { direction: "desc", nulls: "first" })])],
  ["payload columns", on(["customer"], { include: ["total", "placed"] })],
  ["one row in twenty", on(["placed"], { where: "(state = 'open'::text)" })],
  ["rows that are not null", on(["rare"], { where: "(rare IS NOT NULL)" })],
  ["a function of a text", on([key("email", { expression: "lower(email)" })])],
  ["a member of a jsonb object", on([key("document", { expression: "(document ->> 'brand'::text)" })])],
  ["a day", on([key("placed", { expression: "date(placed)" })])],
  ["hash codes", on(["email"], { method: "hash" })],
  ["hash codes of repeated values", on(["customer"], { method: "hash" })],
  ["ranges of blocks", on(["placed"], { method: "brin" })],
  ["array elements", on(["tags"], { method: "gin" })],
  ["jsonb keys and values", on(["document"], { method: "gin" })],
  ["jsonb paths", on([key("document", { opclass: "jsonb_path_ops" })], { method: "gin" })],
  ["trigrams", on([key("email", { opclass: "gin_trgm_ops" })], { method: "gin" })],
  ["points", on(["spot"], { method: "gist" })],
  ["quadrants", on(["spot"], { method: "spgist" })],
];

describe.each([14, 18])("estimated sizes against indexes that PostgreSQL %i built", (major) => {
  let target: EmbeddedServer;
  let session: Session;
  let shadow: ShadowPlanner;
  beforeAll(async () => {
    target = await startEmbedded({ major, settings: { autovacuum: "off" } });
    session = await openSession(resolveConnection(target.url(), {}), "build");
    await session.script(`
      create extension pg_trgm; select setseed(0.1);
      create table things (id integer primary key, customer integer, placed timestamp, total numeric(10,2), state text, rare integer,
        email text, document jsonb, tags text[], spot point);
      insert into things select i, 1 + floor(5000 * random() ^ 2)::int, timestamp '2024-01-01' + i * interval '5 minutes', (random() * 500)::numeric(10,2),
        case when random() < 0.05 then 'open' else 'done' end, case when random() < 0.1 then i end, 'User' || i || '@example.org',
        jsonb_build_object('brand', 'b' || floor(60 * random() ^ 2)::int, 'serial', md5(i::text)), array['a' || i % 40, 'b' || floor(random() * 300)::int],
        point(random() * 100, random() * 100)
        from generate_series(1, 40000) i;
      analyze`);
    shadow = await startShadow(await readCatalog(session));
    await shadow.register(definitions.map(([, definition]) => definition));
  });
  afterAll(async () => {
    await shadow.close();
    await session.close();
    await target.stop();
  });

  it.each(definitions)("%s: within the error that we show", async (_, definition) => {
    const [index] = await shadow.register([definition]);
    if (index === undefined) throw new Error("not registered");
    expect(index.id).toBe(definitionId(definition));
    await session.script(`begin; ${renderCreateIndex(definition, "built", { concurrently: false })}`);
    const [row] = await session.query<{ bytes: string }>("select pg_relation_size('built') as bytes");
    await session.script("rollback");
    const { low, high } = sizeErrorOf(definition);
    const ratio = Number(row?.bytes) / index.estimatedBytes;
    expect(ratio, `${row?.bytes ?? ""} bytes really, ${String(index.estimatedBytes)} estimated`).toBeGreaterThan(low);
    expect(ratio, `${row?.bytes ?? ""} bytes really, ${String(index.estimatedBytes)} estimated`).toBeLessThan(high);
  });

  it("says of expressions that their values are unknown, of others nothing", async () => {
    const made = await shadow.register(definitions.map(([, definition]) => definition));
    expect(made.map((one) => one.uncertain !== undefined)).toEqual(
      definitions.map(([, { keys }]) => keys.some((one) => one.expression !== undefined)),
    );
  });
});

describe("the number of different values behind a sample", () => {
  it.each([
    [100, 100, 100, 5000, 5000],
    [100, 5, 0, 5000, 5],
    [0, 0, 0, 5000, 0],
  ])("%i seen, %i of them different, %i once, of %i: %i", (sample, seen, once, total, expected) => {
    expect(distinctFromSample(sample, seen, once, total)).toBeCloseTo(expected, 5);
  });
});
