import { quoteIdentifier, type Session } from "../postgres/index.ts";

/** Whether a role has the privileges of another one, and what makes it have them. */
export interface Membership {
  readonly group: string;
  readonly has: boolean;
  /** One statement of SQL. */
  readonly grant: string;
}

/** How the session's role stands to these. A member that does not inherit has nothing of it until it does. Reads the catalogue only. */
export const readMemberships = async (
  session: Session,
  groups: readonly string[],
): Promise<ReadonlyMap<string, Membership>> => {
  const rows = await session.query<{ me: string; group: string; has: boolean; member: boolean }>(
    `select current_user::text as me, r.rolname::text as group,
            pg_has_role(r.oid, 'usage') as has, pg_has_role(r.oid, 'member') as member
       from pg_roles r where r.rolname = any ($1::text[])`,
    [groups],
  );
  return new Map(
    rows.map(({ me, group, has, member }) => {
      const [role, wanted] = [quoteIdentifier(me), quoteIdentifier(group)];
      const grant = !member
        ? `grant ${wanted} to ${role};`
        : session.versionNum >= 160_000
          ? `grant ${wanted} to ${role} with inherit true;`
          : `alter role ${role} inherit;`;
      return [group, { group, has, grant }];
    }),
  );
};
