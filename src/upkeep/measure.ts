import type { Session } from "../postgres/index.ts";

/** Kinds of index whose entries cost differently. */
export type EntryKind = "btree" | "wide btree" | "hash" | "gin" | "text search" | "gist" | "spgist" | "brin";

/** What one entry costs beyond the row itself. */
export interface EntryCost {
  readonly ms: number;
  readonly walBytes: number;
  /** Per row of the table, when the index is built. */
  readonly buildMs: number;
}

export interface WriteCosts {
  /** One row by one INSERT into a table with a primary key only. */
  readonly insertMs: number;
  readonly entries: Readonly<Record<EntryKind, EntryCost>>;
  /** What an update costs more, entries aside, when the new version cannot stay on the row's page. */
  readonly lostHotMs: number;
  /** Rows in the measured tables: deeper trees cost a little more. */
  readonly rows: number;
}

const schema = "indexpilot_upkeep";
const filledRows = 20_000;
const batchRows = 4_000;
const singleRows = 2_000;
/** The machine does other things, too: of so many rounds the fastest counts. */
const rounds = 5;

const indexes: Readonly<Record<EntryKind, string>> = {
  btree: "using btree (a)",
  "wide btree": "using btree (a, b, c)",
  hash: "using hash (t)",
  // Entries that wait in the pending list are paid later, so none may wait.
  gin: "using gin (j jsonb_path_ops) with (fastupdate = off)",
  "text search": "using gin (to_tsvector('english', t)) with (fastupdate = off)",
  gist: "using gist (r)",
  spgist: "using spgist (t)",
  brin: "using brin (id)",
};

const columns = "a, b, c, t, j, r";

const install = `
drop schema if exists ${schema} cascade;
create schema ${schema};
create table ${schema}.rows (a bigint, b bigint, c timestamptz, t text, j jsonb, r int4range);
insert into ${schema}.rows
select (random() * 1e9)::bigint, (random() * 1e6)::bigint, now() + random() * interval '1 year',
       md5(random()::text) || ' ' || md5(random()::text),
       jsonb_build_object('kind', (random() * 9)::int, 'name', md5(random()::text), 'size', (random() * 999)::int),
       int4range((random() * 1e6)::int, 1000000 + (random() * 1e6)::int)
  from generate_series(1, ${String(filledRows)});
create function ${schema}.timed(statement text, rows int) returns table (ms double precision, wal numeric) language plpgsql as $function$
declare started timestamptz; place pg_lsn;
begin
  place := pg_current_wal_insert_lsn();
  started := clock_timestamp();
  execute statement;
  ms := extract(epoch from clock_timestamp() - started) * 1000 / rows;
  wal := pg_wal_lsn_diff(pg_current_wal_insert_lsn(), place) / rows;
  return next;
end $function$;`;

const tableNamed = (name: string): string => `
create table ${schema}."${name}" (like ${schema}.rows, id bigint generated always as identity primary key, n int default 0)
  with (fillfactor = 70, autovacuum_enabled = off);
insert into ${schema}."${name}" (${columns}) select ${columns} from ${schema}.rows;`;

interface Timed {
  readonly ms: number;
  readonly wal: number;
}

const known = new Map<number, Promise<WriteCosts>>();

/**
 * Measures what writes cost with and without an index, in a schema of its own that is dropped afterwards; about two seconds, and once per
 * process and version.
 * @param session a superuser's on an embedded server; never the target's
 */
export const measureWriteCosts = (session: Session): Promise<WriteCosts> => {
  const measured = known.get(session.versionNum) ?? measure(session);
  known.set(session.versionNum, measured);
  // A measurement that failed says nothing about the next one.
  measured.catch(() => known.delete(session.versionNum));
  return measured;
};

const measure = async (session: Session): Promise<WriteCosts> => {
  const timed = async (statement: string, rows: number): Promise<Timed> => {
    const [found] = await session.query<{ ms: number; wal: string }>(`select ms, wal from ${schema}.timed($1, $2)`, [
      statement,
      rows,
    ]);
    if (found === undefined) throw new Error("the measurement gave no result");
    return { ms: found.ms, wal: Number(found.wal) };
  };
  const none: Timed = { ms: Number.POSITIVE_INFINITY, wal: 0 };
  const faster = (a: Timed, b: Timed): Timed => (b.ms < a.ms ? b : a);

  await session.script(install);
  try {
    const builds = new Map<string, number>();
    await session.script(tableNamed("none") + tableNamed("cold"));
    await session.script(`create index on ${schema}.cold (n)`);
    for (const [kind, index] of Object.entries(indexes)) {
      await session.script(tableNamed(kind));
      builds.set(kind, (await timed(`create index on ${schema}."${kind}" ${index}`, filledRows)).ms);
    }
    // Round by round, so that what else the machine does falls on all alike.
    const inserts = new Map<string, Timed>();
    const updates = { none, cold: none };
    let single = none;
    const source = `select ${columns} from ${schema}.rows limit ${String(batchRows)}`;
    for (let round = 0; round < rounds; round += 1) {
      for (const name of ["none", ...Object.keys(indexes)]) {
        const one = await timed(`insert into ${schema}."${name}" (${columns}) ${source}`, batchRows);
        inserts.set(name, faster(inserts.get(name) ?? none, one));
      }
      for (const name of ["none", "cold"] as const) {
        const update = `update ${schema}."${name}" set n = n + 1 where id % 20 = ${String(round)}`;
        updates[name] = faster(updates[name], await timed(update, filledRows / 20));
      }
      const singles = `do $do$ declare x ${schema}.rows; begin
        for x in select * from ${schema}.rows limit ${String(singleRows)} loop
          insert into ${schema}.none (${columns}) values (x.a, x.b, x.c, x.t, x.j, x.r);
        end loop; end $do$`;
      single = faster(single, await timed(singles, singleRows));
    }
    const bare = inserts.get("none") ?? none;
    const entryOf = (kind: EntryKind): EntryCost => {
      const withIndex = inserts.get(kind) ?? bare;
      return {
        ms: Math.max(0, withIndex.ms - bare.ms),
        walBytes: Math.max(0, withIndex.wal - bare.wal),
        buildMs: builds.get(kind) ?? 0,
      };
    };
    const entries = {
      btree: entryOf("btree"),
      "wide btree": entryOf("wide btree"),
      hash: entryOf("hash"),
      gin: entryOf("gin"),
      "text search": entryOf("text search"),
      gist: entryOf("gist"),
      spgist: entryOf("spgist"),
      brin: entryOf("brin"),
    };
    // The cold update writes an entry into the primary key and into the index.
    const lostHotMs = Math.max(0, updates.cold.ms - updates.none.ms - 2 * entries.btree.ms);
    return { insertMs: single.ms, entries, lostHotMs, rows: filledRows };
  } finally {
    await session.script(`drop schema if exists ${schema} cascade`);
  }
};
