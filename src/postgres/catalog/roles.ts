import type { Policy, Role } from "../../domain/index.ts";
import type { Session } from "../session.ts";
import { isUserSchema } from "./scope.ts";

// Before 16 a role inherits from all it is a member of, or from none.
const roleStatement = (versionNum: number): string => `
select r.rolname as name, r.rolsuper or r.rolbypassrls as "bypassesRowSecurity",
       array(select g.rolname::text from pg_auth_members m join pg_roles g on g.oid = m.roleid
              where m.member = r.oid and ${versionNum >= 160_000 ? "m.inherit_option" : "r.rolinherit"} and g.rolname !~ '^pg_'
              order by g.rolname) as "memberOf",
       array(select setting
               from pg_db_role_setting s cross join unnest(s.setconfig) setting
              where s.setrole = r.oid and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
              order by s.setdatabase) as settings
  from pg_roles r
 where r.rolname !~ '^pg_'
 order by r.oid`;

/** Roles, with those of their settings that are in `plannerSettings`. Every role may ask. */
export const readRoles = async (
  session: Session,
  plannerSettings: Readonly<Record<string, string>>,
): Promise<Role[]> => {
  const rows = await session.query<Omit<Role, "settings"> & { settings: string[] }>(roleStatement(session.versionNum));
  return rows.map((row) => ({
    ...row,
    settings: Object.fromEntries(
      row.settings
        .map((setting) => [setting.slice(0, setting.indexOf("=")), setting.slice(setting.indexOf("=") + 1)] as const)
        .filter(([name]) => name in plannerSettings),
    ),
  }));
};

const policyStatement = `
select p.polrelid as table_oid, p.polname as name, p.polpermissive as permissive,
       case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end as command,
       array(select pg_get_userbyid(r)::text from unnest(p.polroles) r where r <> 0 order by 1) as roles,
       pg_get_expr(p.polqual, p.polrelid) as "using", pg_get_expr(p.polwithcheck, p.polrelid) as "check"
  from pg_policy p
  join pg_class c on c.oid = p.polrelid
  join pg_namespace n on n.oid = c.relnamespace
 where ${isUserSchema("n.nspname")}
 order by p.polrelid, p.polname`;

/** Row-level security policies by their table's OID. Every role may ask. */
export const readPolicies = async (session: Session): Promise<ReadonlyMap<number, readonly Policy[]>> => {
  const tables = new Map<number, Policy[]>();
  for (const { table_oid, ...policy } of await session.query<Policy & { table_oid: number }>(policyStatement)) {
    tables.set(table_oid, [...(tables.get(table_oid) ?? []), policy]);
  }
  return tables;
};
