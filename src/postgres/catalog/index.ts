/**
 * What is in a target's database, as far as planning and indexing care?
 *
 * One consistent reading: a few set-based queries in one read-only transaction, joined by OID. An ordinary role with pg_monitor and
 * pg_read_all_data suffices on 14 to 18, and no extension is needed. System schemas, temporary tables and our own schema are left out. Names in
 * definitions are always schema-qualified; what only a statement can say (types, functions, operators) is kept as the statement that makes it.
 * The result holds real data values (statistics): it is as sensitive as the data.
 */
import type { Catalog } from "../../domain/index.ts";
import { failure } from "../../errors.ts";
import { readServerIdentity } from "../identity.ts";
import type { Session } from "../session.ts";
import { SqlState, sqlStateOf } from "../sqlstate.ts";
import {
  readActivitySince,
  readDomains,
  readEnums,
  readExtensions,
  readForeignTables,
  readLocale,
  readPlannerSettings,
  readSchemas,
  readSequences,
  readViews,
} from "./database.ts";
import { readExtendedStatistics } from "./extended-statistics.ts";
import { readTables } from "./tables.ts";
import { readManaged } from "./managed.ts";
import { readRoles } from "./roles.ts";
import { readOperators, readRoutines } from "./routines.ts";
import { readTextSearch } from "./text-search.ts";
import { readBaseTypes, readTypes } from "./types.ts";

export { readManagedBy } from "./managed.ts";

// Sizes and definitions need ACCESS SHARE; we wait as long as the session's lock_timeout says, then try anew rather than queue.
const ATTEMPTS = 3;

/**
 * Reads the catalogue of the session's database. The session must not be in a transaction.
 * @throws IndexPilotError `relation_locked` when a relation stays exclusively locked; connection errors
 */
export const readCatalog = async (session: Session): Promise<Catalog> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await readOnce(session);
    } catch (error) {
      if (sqlStateOf(error) !== SqlState.lockNotAvailable) throw error;
      if (attempt === ATTEMPTS) throw failure("relation_locked", {}, error);
    }
  }
};

// Texts that mean the same wherever they are read back: qualified names, ISO dates, floats with all their digits.
const begin = `
  begin isolation level repeatable read read only;
  set local search_path = pg_catalog; set local jit = off;
  set local datestyle = 'ISO, MDY'; set local intervalstyle = postgres; set local bytea_output = hex;
  set local extra_float_digits = 1`;

const readOnce = async (session: Session): Promise<Catalog> => {
  // Before the search path changes; per-role settings count.
  const plannerSettings = await readPlannerSettings(session);
  await session.script(begin);
  try {
    const extensions = await readExtensions(session);
    const managed = await readManaged(session, extensions);
    return {
      server: await readServerIdentity(session),
      ...(await readLocale(session)),
      plannerSettings,
      schemas: await readSchemas(session),
      extensions,
      enums: await readEnums(session),
      domains: await readDomains(session),
      tables: await readTables(session, managed),
      activitySince: await readActivitySince(session),
      views: await readViews(session),
      extendedStatistics: await readExtendedStatistics(session),
      baseTypes: await readBaseTypes(session),
      objects: [...(await readTypes(session)), ...(await readOperators(session)), ...(await readTextSearch(session))],
      routines: await readRoutines(session),
      roles: await readRoles(session, plannerSettings),
      sequences: await readSequences(session),
      foreignTables: await readForeignTables(session),
      managedBy: managed.extensions,
    };
  } finally {
    // On a lost connection this fails as well; the first error is the one to report.
    await session.script("rollback").catch(() => undefined);
  }
};
