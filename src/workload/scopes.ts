import type { ObservationScope } from "../domain/index.ts";
import type { Session } from "../postgres/index.ts";
import { searchPathNames, searchPathValue, settingFor } from "./search-path.ts";

/**
 * How unqualified names resolve for each role in this database when its session begins; a later `set search_path` cannot be seen from outside.
 * Open to everybody; locks nothing beyond the catalogues' entries.
 */
export const readScopes = async (
  session: Session,
  roles: ReadonlyMap<string, string>,
): Promise<ReadonlyMap<string, ObservationScope>> => {
  const rows = await session.query<{ database: string; role: string; setting: string }>(`
    select d.setdatabase::text as database, d.setrole::text as role, c.setting
      from pg_db_role_setting d
      cross join unnest(d.setconfig) as c (setting)
     where d.setdatabase in (0, (select oid from pg_database where datname = current_database()))`);
  const settings = rows.flatMap(({ database, role, setting }) => {
    const value = searchPathValue(setting);
    return value === null ? [] : [{ database, role, value }];
  });
  // `reset_val` is what our own session began with: the server's value unless one of these settings applied to us.
  const [server] = await session.query<{ database: string; own: string; begun: string; built_in: string }>(`
    select (select oid from pg_database where datname = current_database())::text as database,
           (select oid from pg_roles where rolname = session_user)::text as own,
           reset_val as begun, boot_val as built_in
      from pg_settings where name = 'search_path'`);
  if (server === undefined) throw new Error("the server has no setting search_path");
  const none = "\0";
  const serverDefault =
    settingFor(settings, server.own, server.database, none) === none ? server.begun : server.built_in;

  const wanted = [...roles].flatMap(([oid, name]) =>
    searchPathNames(settingFor(settings, oid, server.database, serverDefault)).map((schema) => ({
      oid,
      schema: schema === "$user" ? name : schema,
    })),
  );
  // A schema that is not there, or that the role may not use, is skipped by PostgreSQL too.
  const usable = await session.query<{ role: string; schema: string }>(
    `select w.role::text as role, w.schema
       from unnest($1::oid[], $2::text[]) with ordinality as w (role, schema, position)
       join pg_namespace n on n.nspname = w.schema
       join pg_roles r on r.oid = w.role
      where has_schema_privilege(r.oid, n.oid, 'usage')
      order by w.position`,
    [wanted.map(({ oid }) => oid), wanted.map(({ schema }) => schema)],
  );
  return new Map(
    [...roles].map(([oid, name]) => {
      const path = usable.flatMap(({ role, schema }) => (role === oid && schema !== "pg_catalog" ? [schema] : []));
      return [oid, { role: name, searchPath: [...new Set(path)] }];
    }),
  );
};
