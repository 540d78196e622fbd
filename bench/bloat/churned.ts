import type { Session } from "../../src/postgres/index.ts";
import type { Random } from "../../src/runtime/index.ts";

/** What the estimator has to do with an index. */
export type Expected = "shown" | "withheld";

export interface ChurnedIndex {
  readonly name: string;
  readonly kind: string;
  readonly sql: string;
  readonly expected: Expected;
}

const plain = (name: string, kind: string, sql: string): ChurnedIndex => ({ name, kind, sql, expected: "shown" });
const other = (name: string, kind: string, sql: string): ChurnedIndex => ({ name, kind, sql, expected: "withheld" });

/** Every kind that people have. `churn` changes all its columns, `still` only what is not indexed there, `stale` after its ANALYZE. */
export const churnedIndexes: readonly ChurnedIndex[] = [
  plain("i_random_int", "random keys, few repeated", "on churn (random_int)"),
  plain("i_random_big", "random keys, unique bigint", "on churn (random_big)"),
  plain("i_uuid", "random uuid", "on churn (token)"),
  plain("i_uuid_unique", "random uuid, unique", "on churn (token, id)"),
  plain("i_sequence", "sequential keys", "on churn (placed)"),
  plain("i_day", "days, many rows each", "on churn (day)"),
  plain("i_state", "five values", "on churn (state)"),
  plain("i_customer", "hundreds of rows per value", "on churn (customer)"),
  plain("i_skewed", "few frequent, many rare", "on churn (skewed)"),
  plain("i_short_text", "short text", "on churn (code)"),
  plain("i_email", "text of varying length", "on churn (email)"),
  plain("i_wide", "wide text", "on churn (wide)"),
  plain("i_amount", "numeric, never merged", "on churn (amount)"),
  plain("i_float", "double precision", "on churn (ratio)"),
  plain("i_nullable", "half of it null", "on churn (closed)"),
  plain("i_flag", "boolean", "on churn (flag)"),
  plain("i_two", "customer and time", "on churn (customer, placed)"),
  plain("i_two_desc", "customer and time, descending", "on churn (customer, placed desc)"),
  plain("i_desc", "descending", "on churn (random_big desc)"),
  plain("i_three", "three columns", "on churn (state, day, random_big)"),
  plain("i_unlike", "two that repeat, independent", "on churn (state, customer)"),
  plain("i_include", "with INCLUDE", "on churn (customer) include (amount)"),
  plain("i_fill70", "fillfactor 70", "on churn (random_big) with (fillfactor = 70)"),
  plain("i_fill50", "fillfactor 50, text", "on churn (email) with (fillfactor = 50)"),
  plain("i_nodedup", "merging switched off", "on churn (customer) with (deduplicate_items = off)"),
  plain("i_rebuilt", "just reindexed", "on churn (random_int, state)"),
  plain("i_rebuilt_text", "just reindexed, text", "on churn (email, customer)"),
  plain("i_still", "never changed", "on still (a)"),
  plain("i_still_text", "never changed, text", "on still (t)"),
  plain("i_place", "two that depend on each other", "on churn (city, zip)"),
  plain("i_known", "the same, with extended statistics", "on churn (zip, city, state)"),
  other("i_partial", "partial", "on churn (placed) where state = 'open'"),
  other("i_expression", "expression", "on churn (lower(email))"),
  other("i_partial_expression", "partial on an expression", "on churn (date_trunc('day', placed)) where flag"),
  other("i_gin", "GIN", "on churn using gin (tags)"),
  other("i_gist", "GiST", "on churn using gist (spot)"),
  other("i_hash", "hash", "on churn using hash (token)"),
  other("i_brin", "BRIN", "on churn using brin (placed)"),
  other("i_name", "name, stored as a C string", "on churn (label)"),
  other("i_long", "long compressible text", "on churn (long)"),
  other("i_stale", "statistics of other rows", "on stale (a)"),
  other("i_stale_text", "statistics of other rows, text", "on stale (t)"),
  other("i_never", "never analysed", "on never (a)"),
];

const rowOf = (rows: number): string => `
  (random() * ${String(rows)})::int, (random() * 1e15)::bigint, gen_random_uuid(), timestamp '2025-01-01' + n * interval '1 minute',
  date '2025-01-01' + n / 300, (array['open', 'paid', 'sent', 'done', 'void'])[1 + floor(5 * random() ^ 2)::int],
  (random() * ${String(Math.round(rows / 400))})::int, floor(${String(rows)} * random() ^ 4)::int, 'C' || lpad(floor(random() * 9999999)::text, 7, '0'),
  'user' || floor(random() * 1e7)::text || repeat('x', (random() * 12)::int) || '@example.org',
  md5(random()::text) || md5(random()::text) || md5(random()::text) || repeat(md5(n::text), (random() * 4)::int),
  (random() * 1000)::numeric(10, 2), random(), case when random() < 0.5 then timestamp '2025-01-01' + random() * interval '300 days' end,
  random() < 0.3, 'city' || k.z / 40, 'zip' || k.z, array['a' || floor(random() * 50)::int, 'b' || floor(random() * 500)::int],
  point(random() * 100, random() * 100), ('l' || floor(random() * 1000)::text)::name, repeat(md5(floor(random() * 1000)::text), 20)`;

const columns =
  "random_int, random_big, token, placed, day, state, customer, skewed, code, email, wide, amount, ratio, closed, flag, city, zip, tags, spot, label, long";

const insert = (from: number, to: number, rows: number): string =>
  `insert into churn (${columns}) select ${rowOf(rows)} from generate_series(${String(from)}, ${String(to)}) n,
     lateral (select floor(2000 * random())::int + 0 * n as z) k`;

/**
 * Makes the tables, fills them, and has them live for a while: deletes, inserts and updates of indexed columns, with vacuum in between. To be followed by
 * {@link settle} in another session, for a session's own counts arrive when it ends.
 */
export const churn = async (session: Session, random: Random): Promise<void> => {
  const rows = 60_000 + Math.floor(40_000 * random());
  await session.script(`
    select setseed(${String(random())});
    create table churn (id bigint generated always as identity primary key, random_int int, random_big bigint, token uuid, placed timestamp, day date,
      state text, customer int, skewed int, code text, email text, wide text, amount numeric(10, 2), ratio float8, closed timestamp, flag boolean,
      city text, zip text, tags text[], spot point, label name, long text);
    create table still (a int, t text); create table stale (a int, t text); create table never (a int);
    create statistics known (ndistinct) on zip, city, state from churn;
    alter table never set (autovacuum_enabled = off)`);
  await session.script(insert(1, rows, rows));
  await session.script(`
    insert into still select n, 'value ' || n from generate_series(1, 50000) n;
    insert into stale select n % 50, 'v' from generate_series(1, 20000) n;
    insert into never select n from generate_series(1, 50000) n;
    ${churnedIndexes.map(({ name, sql }) => `create index ${name} ${sql}`).join("; ")}`);
  const rounds = 3 + Math.floor(3 * random());
  let last = rows;
  for (let round = 0; round < rounds; round += 1) {
    const share = (0.1 + 0.25 * random()).toFixed(2);
    await session.script(`delete from churn where random() < ${share}`);
    await session.script(`
      update churn set random_int = (random() * ${String(rows)})::int, random_big = (random() * 1e15)::bigint, token = gen_random_uuid(),
        customer = (random() * ${String(Math.round(rows / 400))})::int, email = 'user' || floor(random() * 1e7)::text || '@example.com',
        state = (array['open', 'paid', 'sent', 'done', 'void'])[1 + floor(5 * random() ^ 2)::int]
        where random() < ${(0.1 + 0.2 * random()).toFixed(2)}`);
    await session.script("vacuum churn");
    const added = Math.floor(rows * (0.05 + 0.2 * random()));
    await session.script(insert(last + 1, last + added, rows));
    last += added;
  }
  await session.script(`delete from churn where random() < ${(0.4 * random()).toFixed(2)}`);
};

/** The last vacuum, and what happens after it. */
export const settle = async (session: Session): Promise<void> => {
  for (const table of ["churn", "still", "stale"]) await session.script(`vacuum analyze ${table}`);
  await session.script(`reindex index i_rebuilt; reindex index i_rebuilt_text;
    insert into stale select n, md5(n::text) || md5(n::text) from generate_series(1, 60000) n; delete from stale where a < 25 and random() < 0.9`);
};
