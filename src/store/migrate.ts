import { createHash } from "node:crypto";
import { failure } from "../errors.ts";
import { quoteIdentifier, type Session } from "../postgres/index.ts";
import { migrations as released, type Migration } from "./migrations/index.ts";

/** Advisory lock taken in the database of the store: "IPLT", 1. */
const MIGRATION_LOCK = [0x49_50_4c_54, 1] as const;

export const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

interface Applied {
  readonly name: string;
  readonly sha256: string;
}

/** What is there. Locks nothing beyond reading; needs USAGE on the schema where it exists. */
const readState = async (
  session: Session,
): Promise<{ readonly schema: boolean; readonly table: boolean; readonly applied: readonly Applied[] }> => {
  // Through the catalogue, because `to_regclass` fails without USAGE on the schema.
  const [found] = await session.query<{ table: boolean; usable: boolean }>(
    `select exists (select from pg_catalog.pg_class c where c.relnamespace = n.oid and c.relname = 'migration') as table,
            pg_catalog.has_schema_privilege(n.oid, 'usage') as usable
     from pg_catalog.pg_namespace n where n.nspname = 'indexpilot'`,
  );
  if (found === undefined) return { schema: false, table: false, applied: [] };
  if (!found.table) return { schema: true, table: false, applied: [] };
  const user = quoteIdentifier(session.target.user);
  if (!found.usable) throw cannotUse(session, `grant usage on schema indexpilot to ${user}`);
  const [readable] = await session.query<{ ok: boolean }>(
    "select pg_catalog.has_table_privilege('indexpilot.migration', 'select') as ok",
  );
  if (readable?.ok !== true) throw cannotUse(session, `grant select on all tables in schema indexpilot to ${user}`);
  const applied = await session.query<Applied>("select name, sha256 from indexpilot.migration order by name");
  return { schema: true, table: true, applied };
};

const cannotUse = (session: Session, grant: string): Error =>
  failure("privilege_missing", { what: `role "${session.target.user}" may not use schema indexpilot`, grant });

/**
 * Which steps are still to do.
 * @throws IndexPilotError `store_newer` (a step we do not know was applied), `store_changed` (a step differs from the applied one)
 */
export const pendingMigrations = (applied: readonly Applied[], known: readonly Migration[]): readonly Migration[] => {
  const byName = new Map(known.map((migration) => [migration.name, migration]));
  for (const one of applied) {
    const migration = byName.get(one.name);
    if (migration === undefined) throw failure("store_newer", { version: one.name });
    if (sha256(migration.sql) !== one.sha256) throw failure("store_changed", { migration: one.name });
  }
  const done = new Set(applied.map((one) => one.name));
  return known.filter((migration) => !done.has(migration.name));
};

/** CREATE SCHEMA only where it is missing: an administrator may have made it for a role that may not. */
const prepare = async (session: Session, state: { readonly schema: boolean; readonly table: boolean }) => {
  const user = session.target.user;
  const [may] = await session.query<{ database: string; create_schema: boolean; create_table: boolean }>(
    `select current_database() as database,
            pg_catalog.has_database_privilege(current_database(), 'create') as create_schema,
            coalesce((select pg_catalog.has_schema_privilege(n.oid, 'create') and pg_catalog.has_schema_privilege(n.oid, 'usage')
                      from pg_catalog.pg_namespace n where n.nspname = 'indexpilot'), true) as create_table`,
  );
  if (may === undefined) throw new Error("a select without a table gave no row");
  if (!state.schema) {
    if (!may.create_schema) {
      throw failure("privilege_missing", {
        what: `role "${user}" may not create the schema indexpilot in database "${may.database}"`,
        grant:
          `grant create on database ${quoteIdentifier(may.database)} to ${quoteIdentifier(user)}` +
          ` (or: create schema indexpilot authorization ${quoteIdentifier(user)})`,
      });
    }
    await session.query("create schema indexpilot");
    await session.query(
      "comment on schema indexpilot is 'IndexPilot: what it did to the indexes of this database, why, and what it observed. Each table says what it keeps.'",
    );
  } else if (!may.create_table) {
    throw cannotUse(session, `grant usage, create on schema indexpilot to ${quoteIdentifier(user)}`);
  }
  if (!state.table) {
    await session.script(
      `create table indexpilot.migration (name text primary key, sha256 text not null, applied_at timestamptz not null default now());
       comment on table indexpilot.migration is 'Which steps made this schema, with the SHA-256 of each. Kept for ever.'`,
    );
  }
};

/** Whoever is about to remember something must be able to; better said at once than in the middle. */
const requireWriting = async (session: Session): Promise<void> => {
  const [row] = await session.query<{ may: boolean; owner: string }>(
    `select pg_catalog.has_table_privilege('indexpilot.decision', 'insert') as may, pg_get_userbyid(nspowner)::text as owner
       from pg_catalog.pg_namespace where nspname = 'indexpilot'`,
  );
  if (row?.may !== false) return;
  const user = quoteIdentifier(session.target.user);
  throw failure("privilege_missing", {
    what: `role "${session.target.user}" may not write to schema indexpilot`,
    grant: `give --build-url the role that owns it, or: grant ${quoteIdentifier(row.owner)} to ${user}`,
  });
};

/** Runs `work` in a transaction under the migration lock, so that processes that start together take turns. */
export const underLock = async <T>(session: Session, work: () => Promise<T>): Promise<T> => {
  // Read committed whatever the role's default is: after the wait for the lock we must see what the others committed.
  await session.query("begin isolation level read committed read write");
  try {
    await session.query("select pg_catalog.pg_advisory_xact_lock($1, $2)", MIGRATION_LOCK);
    const result = await work();
    await session.query("commit");
    return result;
  } catch (error) {
    await session.query("rollback").catch(() => undefined);
    throw error;
  }
};

/**
 * Brings the schema up to date, each step in one transaction.
 * With `create: false` it changes nothing, and answers false where there is no schema.
 * @throws IndexPilotError `privilege_missing`, `store_newer`, `store_changed`, `store_older` (only with `create: false`)
 */
export const migrate = async (
  session: Session,
  options: { readonly create: boolean; readonly migrations?: readonly Migration[] },
): Promise<boolean> => {
  const known = options.migrations ?? released;
  const before = await readState(session);
  let [next] = pendingMigrations(before.applied, known);
  if (!options.create) {
    if (before.applied.length === 0) return false;
    if (next !== undefined) throw failure("store_older", { version: next.name });
    return true;
  }
  if (next === undefined) await requireWriting(session);
  while (next !== undefined) {
    next = await underLock(session, async () => {
      const state = await readState(session);
      const [todo, ...later] = pendingMigrations(state.applied, known);
      if (todo === undefined) return undefined;
      await prepare(session, state);
      await session.script(todo.sql);
      await session.query("insert into indexpilot.migration (name, sha256) values ($1, $2)", [
        todo.name,
        sha256(todo.sql),
      ]);
      return later[0];
    });
  }
  return true;
};
