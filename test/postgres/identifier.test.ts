import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import {
  openSession,
  quoteIdentifier,
  quoteLiteral,
  renderCreateIndex,
  resolveConnection,
  type Session,
} from "../../src/postgres/index.ts";

describe.each([14, 18])("identifiers and literals on PostgreSQL %i", (major) => {
  let server: EmbeddedServer;
  let session: Session;
  beforeAll(async () => {
    server = await startEmbedded({ major });
    session = await openSession(resolveConnection(server.url(), {}), "store");
  });
  afterAll(async () => {
    await session.close();
    await server.stop();
  });

  // PostgreSQL cuts identifiers at 63 bytes.
  const name = fc
    .oneof(
      fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }),
      fc.constantFrom('we"ird; drop table x', "Order", "order", "a b", "ü", "\\", "'"),
    )
    .filter((text) => !text.includes("\0") && Buffer.byteLength(text) <= 63);

  test("any name comes back as it was given", async () => {
    await fc.assert(
      fc.asyncProperty(name, async (text) => {
        const rows = await session.query(`select 1 as ${quoteIdentifier(text)}`);
        expect(Object.keys(rows[0] ?? {})).toEqual([text]);
      }),
      { numRuns: 100 },
    );
  });

  test("any text comes back as it was given, whatever standard_conforming_strings says", async () => {
    const value = fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0"));
    for (const setting of ["on", "off"]) {
      await session.query(`set standard_conforming_strings = ${setting}`);
      await fc.assert(
        fc.asyncProperty(value, async (text) => {
          expect(await session.query(`select ${quoteLiteral(text)}::text as value`)).toEqual([{ value: text }]);
        }),
        { numRuns: 50 },
      );
    }
  });

  test("every word the server reserves is quoted", async () => {
    const words = await session.query<{ word: string }>("select word from pg_get_keywords() where catcode <> 'U'");
    expect(words.filter(({ word }) => quoteIdentifier(word) === word)).toEqual([]);
  });

  test("an index definition survives: rendered, created, and read back from the catalogue", async () => {
    const columns = fc.uniqueArray(name, { minLength: 4, maxLength: 4 });
    const key = fc.record({
      direction: fc.constantFrom("asc" as const, "desc" as const),
      nulls: fc.constantFrom("first" as const, "last" as const),
    });
    await fc.assert(
      fc.asyncProperty(
        name,
        columns,
        fc.array(key, { minLength: 1, maxLength: 3 }),
        fc.boolean(),
        async (table, cols, keys, covering) => {
          const definition = {
            table: { schema: "public", name: table },
            method: "btree" as const,
            keys: keys.map((one, at) => ({ column: cols[at] ?? "", ...one })),
            include: covering ? [cols[3] ?? ""] : [],
          };
          await session.query("begin");
          try {
            await session.query(
              `create table public.${quoteIdentifier(table)} (${cols.map((c) => `${quoteIdentifier(c)} int`).join(", ")})`,
            );
            await session.query(renderCreateIndex(definition, null, { concurrently: false }));
            const back = await session.query(
              `select a.attname as column, i.indoption[a.attnum - 1] & 1 = 1 as descending, i.indoption[a.attnum - 1] & 2 = 2 as nulls_first
               from pg_index i join pg_attribute a on a.attrelid = i.indexrelid
              where i.indrelid = $1::regclass and a.attnum <= i.indnkeyatts order by a.attnum`,
              [`public.${quoteIdentifier(table)}`],
            );
            expect(back).toEqual(
              definition.keys.map((one) => ({
                column: one.column,
                descending: one.direction === "desc",
                nulls_first: one.nulls === "first",
              })),
            );
          } finally {
            await session.query("rollback");
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});

test("an identifier that PostgreSQL cannot have is refused", () => {
  expect(() => quoteIdentifier("")).toThrow();
  expect(() => quoteIdentifier("a\0b")).toThrow();
});
