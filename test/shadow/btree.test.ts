import { existsSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Column, ColumnStatistics, ExistingIndex, Table } from "../../src/domain/index.ts";
import { startEmbedded } from "../../src/embedded/index.ts";
import { openSession, resolveConnection } from "../../src/postgres/index.ts";
import { estimateBtreeHeight, estimateBtreeSize } from "../../src/sizes/index.ts";
import { setLength, writeTree } from "../../src/shadow/storage.ts";
import { bigTable, column as columnOf, existing, statistics } from "../catalog.ts";

const column = (name: string, baseType: string, maxBytes: number | null, known: Partial<ColumnStatistics>): Column =>
  columnOf(name, { type: baseType, baseType, notNull: false, maxBytes, statistics: { ...statistics(-1), ...known } });

const table = (rows: number, columns: readonly Column[]): Table => {
  const pages = Math.ceil(rows / 100);
  return bigTable("t", columns, { tuples: rows, pages, blocks: pages, allVisiblePages: 0 });
};

const size = (rows: number, columns: readonly Column[], include: readonly string[] = []) =>
  estimateBtreeSize(table(rows, columns), {
    table: { schema: "public", name: "t" },
    method: "btree",
    keys: columns
      .filter((one) => !include.includes(one.name))
      .map(({ name }) => ({ column: name, direction: "asc", nulls: "last" })),
    include,
  });

describe("the size of a B-tree", () => {
  // What CREATE INDEX makes of generate_series(1, n), on every supported version.
  it.each([
    [1_000_000, "int4", 4, 2745, 2],
    [1_000_000, "int8", 8, 2745, 2],
    [100_000, "int4", 4, 276, 1],
    [300, "int4", 4, 2, 0],
  ])("of %i unique values of %s is exact", (rows, type, bytes, pages, height) => {
    expect(size(rows, [column("a", type, bytes, { averageWidth: bytes })])).toMatchObject({ rows, pages, height });
  });

  it("shrinks with repeated values, which share their entries", () => {
    const unique = size(100_000, [column("a", "int4", 4, {})]);
    const repeated = size(100_000, [column("a", "int4", 4, { distinct: 50 })]);
    // 6 bytes per row in posting lists against 20.
    expect(repeated.pages / unique.pages).toBeCloseTo(0.31, 1);
  });

  it("does not share entries where equal values may differ in bytes, or with INCLUDE", () => {
    const known = { distinct: 50, averageWidth: 4 };
    const plain = size(100_000, [column("a", "int4", 4, known)]);
    expect(size(100_000, [column("a", "float4", 4, known)]).pages).toBeGreaterThan(plain.pages * 2);
    expect(
      size(100_000, [column("a", "int4", 4, known), column("b", "bool", 1, { averageWidth: 1 })], ["b"]).pages,
    ).toBeGreaterThan(plain.pages * 2);
  });

  it("never falls when rows are added, and always has room for its levels", () => {
    const widths = fc.constantFrom(["int4", 4, 4], ["text", null, 30], ["numeric", null, 7], ["uuid", 16, 16] as const);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5_000_000 }),
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.array(
          fc.tuple(
            widths,
            fc.double({ min: -1, max: -0.001, noNaN: true }),
            fc.double({ min: 0, max: 0.9, noNaN: true }),
          ),
          {
            minLength: 1,
            maxLength: 3,
          },
        ),
        (rows, more, shapes) => {
          const columns = shapes.map(([[type, most, width], distinct, nullFraction], i) =>
            column(`c${String(i)}`, type as string, most as number | null, {
              averageWidth: width,
              distinct,
              nullFraction,
            }),
          );
          const small = size(rows, columns);
          const large = size(rows + more, columns);
          expect(large.pages).toBeGreaterThanOrEqual(small.pages);
          expect(small.pages).toBeGreaterThanOrEqual(small.height + 2);
        },
      ),
      {
        numRuns: 200,
        // Of two million rows, half a row shares its key with another.
        examples: [
          [
            1_997_248,
            4,
            [
              [["int4", 4, 4], -0.3020762884822075, 0],
              [["int4", 4, 4], -0.47504838685537704, 0],
              [["int4", 4, 4], -0.3406911746881079, 0],
            ],
          ],
        ],
      },
    );
  });
});

describe("the height of an existing B-tree", () => {
  const things = { ...table(100_000, [column("a", "int8", 8, { averageWidth: 8 })]), oid: 20_000 };
  const heightOf = (index: Partial<ExistingIndex>, pages: number): number =>
    estimateBtreeHeight(
      things,
      existing("t_a", ["a"], {
        oid: 90_000,
        unique: true,
        sizeBytes: pages * 8192,
        pages,
        ...index,
      }),
      pages,
    );

  it("is what CREATE INDEX makes of inner pages filled to 70 %", () => {
    expect([heightOf({}, 280), heightOf({}, 300)]).toEqual([1, 2]);
  });

  it("grows by a level only when the root is full, where it came with its table or was measured before", () => {
    const withTable = { constraint: "t_pkey", oid: 20_006 };
    expect([heightOf(withTable, 300), heightOf(withTable, 420)]).toEqual([1, 2]);
    expect([heightOf({ pages: 280 }, 300), heightOf({ pages: 280 }, 420)]).toEqual([1, 2]);
  });
});

describe("a faked tree", () => {
  it.each([14, 18])("is a sound empty B-tree to PostgreSQL %i", async (major) => {
    const server = await startEmbedded({
      major,
      settings: { autovacuum: "off" },
      ...(major >= 18 ? { initdbArguments: ["--no-data-checksums"] } : {}),
    });
    try {
      const session = await openSession(resolveConnection(server.url(), {}), "observe");
      await session.script("create extension amcheck; create table t (a integer primary key)");
      const [row] = await session.query<{ path: string }>("select pg_relation_filepath('t_pkey') as path");
      writeTree(join(server.dataDirectory, row?.path ?? ""), 2745, 2, null);
      const [check] = await session.query<{ size: string; found: string }>(
        "select bt_index_parent_check('t_pkey', true)::text, pg_relation_size('t_pkey') as size, (select count(*) from t where a = 5) as found",
      );
      expect(check).toMatchObject({ size: String(2745 * 8192), found: "0" });
      await session.query("set enable_seqscan = off");
      expect(await session.query("select a from t where a > 3 order by a desc")).toEqual([]);
      await session.close();
    } finally {
      await server.stop();
    }
  });
});

describe("a file's length", () => {
  it("is sparse, cut in segments of 1 GiB, and can be taken back", () => {
    const directory = mkdtempSync(join(tmpdir(), "indexpilot-test-"));
    const file = join(directory, "16384");
    try {
      writeFileSync(file, "");
      truncateSync(file, 0);
      setLength(file, 131_072 + 5);
      expect([statSync(file).size, statSync(`${file}.1`).size]).toEqual([1_073_741_824, 40_960]);
      expect(statSync(file).blocks).toBe(0);
      setLength(file, 0);
      expect([statSync(file).size, statSync(`${file}.1`).size]).toEqual([0, 0]);
      expect(existsSync(`${file}.2`)).toBe(false);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
