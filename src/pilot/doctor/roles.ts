import { quoteIdentifier, type Session } from "../../postgres/index.ts";
import { readMemberships } from "../membership.ts";
import { readBuildPrivileges } from "../privileges.ts";
import { readBlindSpots } from "../visibility.ts";
import { type Check, found, ok, some } from "./check.ts";

const statistics = "pg_read_all_stats";

const roleOf = async (session: Session): Promise<{ role: string; superuser: boolean; connections: number }> => {
  const [row] = await session.query<{ role: string; superuser: boolean; connections: number }>(
    "select rolname::text as role, rolsuper as superuser, rolconnlimit as connections from pg_roles where rolname = current_user",
  );
  if (row === undefined) throw new Error("the session's own role is not in pg_roles");
  return row;
};

const connectionsCheck = (part: string, role: string, limit: number, needed: number): Check[] =>
  limit === -1 || limit >= needed
    ? []
    : [
        found(
          "problem",
          `${part}: connections`,
          `${role} may have ${String(limit)} connections, ${String(needed)} are needed`,
          `alter role ${quoteIdentifier(role)} connection limit ${String(needed)};`,
        ),
      ];

/** What the observing role may see. Advising needs no more than this. */
export const observeRoleChecks = async (session: Session): Promise<Check[]> => {
  const { role, connections } = await roleOf(session);
  const membership = (await readMemberships(session, [statistics])).get(statistics);
  const spots = await readBlindSpots(session);
  const unreadable = spots.find(({ code }) => code === "not_readable");
  const filtered = spots.find(({ code }) => code === "row_level_security");
  const names = {
    statistics: "observe: everybody's statements",
    data: "observe: planner statistics, EXPLAIN",
    rows: "observe: row-level security",
  };
  return [
    membership?.has === true
      ? ok(names.statistics, `${role} may read them (${statistics})`)
      : found("problem", names.statistics, `${role} sees only its own`, membership?.grant ?? null),
    unreadable === undefined
      ? ok(names.data, `${role} may read every table`)
      : found("problem", names.data, unreadable.problem, unreadable.remedy),
    filtered === undefined
      ? ok(names.rows, `hides no statistics from ${role}`)
      : found("problem", names.rows, filtered.problem, filtered.remedy),
    ...connectionsCheck("observe", role, connections, 1),
  ];
};

/** What the building role may do. `separate`: a person gave it with --build-url, so that it is meant to build. */
export const buildRoleChecks = async (session: Session, separate: boolean): Promise<Check[]> => {
  const { role, superuser, connections } = await roleOf(session);
  const level = separate ? "problem" : "warning";
  const quoted = quoteIdentifier(role);
  const { denied, grants, tables } = await readBuildPrivileges(session, null);
  const [place] = await session.query<{
    database: string;
    read_only: boolean;
    store: boolean;
    owned: boolean;
    may_create: boolean;
  }>(
    `select current_database()::text as database, current_setting('default_transaction_read_only')::boolean as read_only, to_regnamespace('indexpilot') is not null as store,
            coalesce((select pg_has_role(nspowner, 'usage') from pg_namespace where nspname = 'indexpilot'), false) as owned,
            has_database_privilege(current_database(), 'create') as may_create`,
  );
  if (place === undefined) throw new Error("a query without FROM returned no row");
  const membership = (await readMemberships(session, [statistics])).get(statistics);
  const names = { tables: "build: tables", store: "build: own schema", others: "build: others' transactions" };
  const checks: Check[] = [
    denied.length === 0
      ? ok(names.tables, `${role} may create indexes on all ${String(tables)} tables`)
      : found(
          level,
          names.tables,
          `${role} may not create indexes on ${String(denied.length)} of ${String(tables)} tables: ${some(denied)}`,
          grants.join(" "),
        ),
    place.store
      ? place.owned
        ? ok(names.store, "schema indexpilot exists, and is this role's")
        : found(
            level,
            names.store,
            `schema indexpilot is not ${role}'s`,
            "give --build-url the role that owns it, or drop schema indexpilot cascade; -- and with it the history",
          )
      : place.may_create
        ? ok(names.store, `${role} may create schema indexpilot`)
        : found(
            level,
            names.store,
            `${role} may not create schema indexpilot, where decisions and history are kept`,
            `grant create on database ${quoteIdentifier(place.database)} to ${quoted};`,
          ),
    membership?.has === true
      ? ok(names.others, `${role} sees for whom a build waits`)
      : found(
          "warning",
          names.others,
          `${role} cannot see for how long others' transactions have run, and a build may wait for them`,
          membership?.grant ?? null,
        ),
    ...connectionsCheck("build", role, connections, 3),
  ];
  if (place.read_only) {
    checks.push(
      found(
        level,
        "build: writing",
        `transactions of ${role} in database ${place.database} are read-only (default_transaction_read_only)`,
        `alter role ${quoted} in database ${quoteIdentifier(place.database)} set default_transaction_read_only = off; -- unless it is meant`,
      ),
    );
  }
  if (superuser) {
    checks.push(
      found("note", "build: superuser", `${role} is a superuser; a role that owns the tables is enough`, null),
    );
  }
  return checks;
};
