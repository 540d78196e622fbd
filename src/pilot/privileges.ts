import { failure } from "../errors.ts";
import { quoteIdentifier, quoteName, type Session } from "../postgres/index.ts";
import { isApplications } from "./doctor/check.ts";
import { readMemberships } from "./membership.ts";

/** What keeps the session's role from creating indexes, and what lets it. */
export interface BuildPrivileges {
  /** Quoted names of the tables it may not index. */
  readonly denied: readonly string[];
  /** Tables looked at. */
  readonly tables: number;
  /** Statements of SQL, each once. */
  readonly grants: readonly string[];
}

/**
 * Only an owner creates indexes, and needs USAGE and CREATE on the schema as well. Where a superuser owns the table, a grant of that role would give everything
 * there is: the table is given away instead. Reads the catalogue only.
 * @param oids the tables to look at; null: all of the application's
 */
export const readBuildPrivileges = async (
  session: Session,
  oids: readonly number[] | null,
): Promise<BuildPrivileges> => {
  const rows = await session.query<{
    schema: string;
    name: string;
    kind: string;
    role: string;
    owner: string;
    superuser: boolean;
    owns: boolean;
    may_create: boolean;
  }>(
    `select n.nspname::text as schema, c.relname::text as name, current_user::text as role, o.rolname::text as owner,
            case c.relkind when 'm' then 'materialized view' else 'table' end as kind,
            o.rolsuper as superuser, pg_has_role(o.oid, 'usage') as owns, 
            has_schema_privilege(n.oid, 'create') and has_schema_privilege(n.oid, 'usage') as may_create
       from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_roles o on o.oid = c.relowner
      where c.relkind in ('r', 'p', 'm') and ${isApplications} and ($1::oid[] is null or c.oid = any ($1))
      order by 1, 2`,
    [oids],
  );
  const owners = await readMemberships(session, [...new Set(rows.map(({ owner }) => owner))]);
  const grants = rows.flatMap((row) => [
    ...(row.owns
      ? []
      : [
          row.superuser
            ? `alter ${row.kind} ${quoteName(row)} owner to ${quoteIdentifier(row.role)};`
            : (owners.get(row.owner)?.grant ?? ""),
        ]),
    ...(row.may_create
      ? []
      : [`grant usage, create on schema ${quoteIdentifier(row.schema)} to ${quoteIdentifier(row.role)};`]),
  ]);
  return {
    denied: rows.filter((row) => !row.owns || !row.may_create).map(quoteName),
    tables: rows.length,
    grants: [...new Set(grants)],
  };
};

/**
 * Makes sure, before anybody waits for anything, that the build role may create indexes on these tables. Reads the catalogue only.
 * @throws IndexPilotError `privilege_missing` with the grants
 */
export const requireBuildPrivileges = async (
  session: Session,
  tables: readonly { readonly oid: number }[],
): Promise<void> => {
  const { denied, grants } = await readBuildPrivileges(
    session,
    tables.map(({ oid }) => oid),
  );
  if (denied.length === 0) return;
  throw failure("privilege_missing", {
    what: `role "${session.target.user}" may not create indexes on ${denied.join(", ")}`,
    grant: grants.join(" "),
  });
};
