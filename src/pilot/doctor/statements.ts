import { quoteIdentifier, quoteLiteral, type Session } from "../../postgres/index.ts";
import { type Check, found, ok, RESTART, SUPERUSER } from "./check.ts";

const name = "pg_stat_statements";

interface Extension {
  readonly role: string;
  readonly schema: string | null;
  readonly columns: readonly string[];
  readonly readable: boolean;
  readonly has_info: boolean;
  readonly preloaded: boolean;
  readonly libraries: string | null;
  readonly query_id: string | null;
}

const preload = (libraries: string | null): string => {
  const before = (libraries ?? "")
    .split(",")
    .map((library) => library.trim())
    .filter((library) => library !== "");
  return `alter system set shared_preload_libraries = ${[...before, name].map(quoteLiteral).join(", ")}; ${RESTART}`;
};

const create = `create extension ${name}; ${SUPERUSER}, in this database`;

/** Extension, library, settings and the right to read it. Without them the workload can only come from files. */
export const statementChecks = async (session: Session): Promise<Check[]> => {
  const [row] = await session.query<Extension>(
    `select current_user::text as role, n.nspname::text as schema,
            array(select a.attname::text from pg_attribute a where a.attrelid = v.oid and a.attnum > 0) as columns,
            coalesce(has_schema_privilege(n.oid, 'usage') and has_table_privilege(v.oid, 'select')
                     and (i.oid is null or has_table_privilege(i.oid, 'select')), false) as readable,
            i.oid is not null as has_info,
            exists (select from pg_settings where name = 'pg_stat_statements.track') as preloaded,
            (select setting from pg_settings where name = 'shared_preload_libraries') as libraries,
            (select setting from pg_settings where name = 'compute_query_id') as query_id
       from (select) as always
       left join pg_extension e on e.extname = 'pg_stat_statements'
       left join pg_namespace n on n.oid = e.extnamespace
       left join pg_class v on v.relnamespace = n.oid and v.relname = 'pg_stat_statements'
       left join pg_class i on i.relnamespace = n.oid and i.relname = 'pg_stat_statements_info'`,
  );
  if (row === undefined) throw new Error("a query without FROM returned no row");
  if (!row.preloaded) {
    const installed = row.schema === null ? `, and not installed in this database` : "";
    return [
      found(
        "problem",
        name,
        `its library is not loaded${installed}, so the workload can only come from files (--queries)`,
        row.schema === null ? `${preload(row.libraries)}\n${create}` : preload(row.libraries),
      ),
    ];
  }
  if (row.schema === null) {
    return [
      found(
        "problem",
        name,
        "not installed in this database, so the workload can only come from files (--queries)",
        create,
      ),
    ];
  }
  if (!row.columns.includes("toplevel")) {
    return [
      found(
        "problem",
        name,
        "an old version of the extension's view is installed",
        `alter extension ${name} update; ${SUPERUSER}`,
      ),
    ];
  }
  if (!row.readable) {
    const [schema, role] = [quoteIdentifier(row.schema), quoteIdentifier(row.role)];
    const views = [name, ...(row.has_info ? [`${name}_info`] : [])].map((view) => `${schema}.${view}`);
    return [
      found(
        "problem",
        name,
        `${row.role} may not read it`,
        `grant usage on schema ${schema} to ${role}; grant select on ${views.join(", ")} to ${role}; ${SUPERUSER}`,
      ),
    ];
  }
  if (row.query_id === "off") {
    return [
      found(
        "problem",
        name,
        "compute_query_id = off, so that nothing is recorded",
        `alter system set compute_query_id = auto; select pg_reload_conf(); ${SUPERUSER}`,
      ),
    ];
  }
  return readable(session, row);
};

const readable = async (session: Session, { schema, has_info }: Extension): Promise<Check[]> => {
  const [row] = await session.query<{
    track: string;
    planning: string;
    max: number;
    entries: number;
    evicted: number;
    silent: string[];
  }>(
    `select current_setting('pg_stat_statements.track') as track,
            current_setting('pg_stat_statements.track_planning') as planning,
            current_setting('pg_stat_statements.max')::int as max,
            (select count(*)::int from ${quoteIdentifier(schema ?? "")}.pg_stat_statements(false)) as entries,
            ${has_info ? `(select dealloc::int from ${quoteIdentifier(schema ?? "")}.pg_stat_statements_info)` : "0"} as evicted,
            array(select case when s.setrole = 0 then 'database ' || quote_ident(current_database()) else 'role ' || quote_ident(pg_get_userbyid(s.setrole)) end
                    from pg_db_role_setting s
                   where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
                     and 'pg_stat_statements.track=none' = any (s.setconfig) order by 1) as silent`,
  );
  if (row === undefined) throw new Error("a query without FROM returned no row");
  const checks: Check[] = [];
  if (row.silent.length > 0) {
    checks.push(
      found(
        "problem",
        name,
        `pg_stat_statements.track = none for ${row.silent.join(", ")}: nothing of theirs is recorded`,
        `${row.silent.map((one) => `alter ${one} reset pg_stat_statements.track;`).join(" ")} ${SUPERUSER}; sessions notice when they begin anew`,
      ),
    );
  } else if (row.track === "none") {
    checks.push(
      found(
        "problem",
        name,
        "installed, but pg_stat_statements.track = none",
        `alter system set pg_stat_statements.track = top; select pg_reload_conf(); ${SUPERUSER}`,
      ),
    );
  } else checks.push(ok(name, `installed, track = ${row.track}`));
  checks.push(
    row.evicted === 0
      ? ok(`${name}: room`, `${String(row.entries)} of ${String(row.max)} entries`)
      : found(
          "warning",
          `${name}: room`,
          `statements were thrown out ${String(row.evicted)} times to make room for others (pg_stat_statements.max = ${String(row.max)})`,
          `alter system set pg_stat_statements.max = ${String(Math.max(10_000, row.max * 2))}; ${RESTART}\nselect ${quoteIdentifier(schema ?? "")}.pg_stat_statements_reset(); -- after it, to count anew`,
        ),
  );
  if (row.planning === "on") {
    checks.push(
      found(
        "note",
        `${name}: planning`,
        "track_planning is on: it is not needed here, and costs a busy server with many equal statements",
        `alter system set pg_stat_statements.track_planning = off; select pg_reload_conf(); ${SUPERUSER}`,
      ),
    );
  }
  return checks;
};
