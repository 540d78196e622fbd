import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Catalog, Table } from "../../src/domain/index.ts";
import { startEmbedded } from "../../src/embedded/index.ts";
import { openSession, readCatalog, resolveConnection } from "../../src/postgres/index.ts";
import { systemClock } from "../../src/runtime/index.ts";
import { startShadow } from "../../src/shadow/index.ts";

const TERABYTE_BLOCKS = 2 ** 40 / 8192;

/** As if the table had grown to two terabytes, and its index with it. */
const enlarge = (table: Table): Table => ({
  ...table,
  tuples: 1.6e10,
  pages: 2 * TERABYTE_BLOCKS,
  blocks: 2 * TERABYTE_BLOCKS,
  indexes: table.indexes.map((index) => ({
    ...index,
    tuples: 1.6e10,
    pages: Math.floor(0.35 * TERABYTE_BLOCKS),
    sizeBytes: 8192 * Math.floor(0.35 * TERABYTE_BLOCKS),
  })),
});

/** Bytes on disk, holes left out. */
const diskBytes = (directory: string): number =>
  readdirSync(directory, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(entry.parentPath, entry.name);
    return sum + (entry.isDirectory() ? diskBytes(path) : statSync(path).blocks * 512);
  }, 0);

describe("the shadow of a table of two terabytes", () => {
  it("takes little disk and time, and costs as for its size", async () => {
    const server = await startEmbedded({ major: 18 });
    const session = await openSession(resolveConnection(server.url(), {}), "build");
    await session.script(`
      create table facts (id bigint primary key, customer integer, at timestamptz, note text);
      insert into facts select i, i % 700, timestamptz '2024-01-01' + i * interval '1 minute', repeat('x', 80) from generate_series(1, 2000) i;
      analyze facts`);
    const read = await readCatalog(session);
    await session.close();
    await server.stop();
    const catalog: Catalog = { ...read, tables: read.tables.map(enlarge) };
    const startedMs = systemClock.monotonicMs();
    const shadow = await startShadow(catalog);
    try {
      const keys = ["customer", "at", "note", "id"];
      const made = await shadow.register(
        keys.map((column) => ({
          table: { schema: "public", name: "facts" },
          method: "btree" as const,
          keys: [{ column, direction: "asc" as const, nulls: "last" as const }],
          include: [],
        })),
      );
      const [all, one] = await shadow.plan(
        [new Set<string>(), new Set(made.map((index) => index.id))].map((visible) => ({
          binding: { sql: "select count(note) from facts where customer = 5", share: 1, source: "literal" as const },
          scope: { role: "app", searchPath: ["public"] },
          visible,
          hidden: new Set<number>(),
        })),
      );
      expect(systemClock.monotonicMs() - startedMs).toBeLessThan(20_000);
      expect(made).toHaveLength(keys.length);
      const customer = made[0];
      expect(customer?.estimatedBytes).toBeGreaterThan(5e10);
      if (all?.kind !== "planned" || one?.kind !== "planned") throw new Error("not planned");
      // A page costs 1 at least, several workers share the processor's part only.
      expect(all.totalCost).toBeGreaterThan(2 * TERABYTE_BLOCKS);
      expect(one.usedIndexes).toEqual([customer?.id]);
      const inside = await openSession(shadow.connection(), "observe");
      const [row] = await inside.query<{ directory: string }>("select current_setting('data_directory') as directory");
      await inside.close();
      expect(diskBytes(row?.directory ?? "")).toBeLessThan(1e9);
    } finally {
      await shadow.close();
    }
  });
});
