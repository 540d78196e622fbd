import type { TableName } from "../domain/index.ts";
import { failure } from "../errors.ts";
import { quoteIdentifier, quoteName, type Session } from "../postgres/index.ts";

/**
 * Makes sure, before anybody waits for anything, that the build role may create indexes on these tables. Reads the catalogue only.
 * @throws IndexPilotError `privilege_missing` with the grants
 */
export const requireBuildPrivileges = async (
  session: Session,
  tables: readonly (TableName & { readonly oid: number })[],
): Promise<void> => {
  const rows = await session.query<{
    oid: number;
    role: string;
    owner: string;
    owns: boolean;
    schema: string;
    may_create: boolean;
  }>(
    `select c.oid::int as oid, current_user::text as role, pg_get_userbyid(c.relowner)::text as owner,
            pg_has_role(current_user, c.relowner, 'usage') as owns,
            n.nspname::text as schema, has_schema_privilege(n.oid, 'create') as may_create
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.oid = any($1::oid[])`,
    [tables.map((table) => table.oid)],
  );
  const grants = new Set<string>();
  const denied: string[] = [];
  for (const row of rows) {
    if (!row.owns) grants.add(`grant ${quoteIdentifier(row.owner)} to ${quoteIdentifier(row.role)};`);
    if (!row.may_create)
      grants.add(`grant create on schema ${quoteIdentifier(row.schema)} to ${quoteIdentifier(row.role)};`);
    const table = tables.find((one) => one.oid === row.oid);
    if ((!row.owns || !row.may_create) && table !== undefined) denied.push(quoteName(table));
  }
  if (grants.size === 0) return;
  throw failure("privilege_missing", {
    what: `role "${session.target.user}" may not create indexes on ${denied.join(", ")}`,
    grant: [...grants].join(" "),
  });
};
