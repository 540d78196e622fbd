import type { ServerIdentity } from "../domain/index.ts";
import { majorVersion } from "../domain/index.ts";
import { availableMajors } from "../embedded/index.ts";
import {
  type ConnectionTarget,
  openSession,
  quoteIdentifier,
  readServerIdentity,
  type Session,
} from "../postgres/index.ts";

/** `problem` stops something from working, `warning` makes it worse, `note` is good to know. */
export type CheckLevel = "ok" | "note" | "warning" | "problem";

export interface Check {
  readonly name: string;
  readonly level: CheckLevel;
  readonly found: string;
  /** What to do; null when all is well. */
  readonly remedy: string | null;
}

export interface Diagnosis {
  readonly server: ServerIdentity;
  readonly version: string;
  readonly checks: readonly Check[];
}

const ok = (name: string, found: string): Check => ({ name, level: "ok", found, remedy: null });

/** Looks at everything that later commands rely on. Reads the catalogue and settings only; no privilege is needed to run it. */
export const diagnose = async (observe: ConnectionTarget, build: ConnectionTarget | null): Promise<Diagnosis> => {
  const session = await openSession(observe, "observe");
  try {
    const server = await readServerIdentity(session);
    const [row] = await session.query<{ version: string }>("select current_setting('server_version') as version");
    const checks = [
      ...versionChecks(server),
      ...(await statementChecks(session)),
      ...(await observeRoleChecks(session)),
      ...(await statisticsChecks(session)),
      ...(await whatIfChecks(session, server)),
    ];
    if (build === null || (build.user === observe.user && build.host === observe.host && build.port === observe.port)) {
      checks.push(...(await buildRoleChecks(session)));
    } else {
      const builder = await openSession(build, "watch");
      try {
        checks.push(...(await buildRoleChecks(builder)));
      } finally {
        await builder.close();
      }
    }
    return { server, version: row?.version ?? "", checks };
  } finally {
    await session.close();
  }
};

const versionChecks = (server: ServerIdentity): Check[] => {
  const checks: Check[] = [];
  const { versionNum } = server;
  if (versionNum >= 140_000 && versionNum < 140_004) {
    checks.push({
      name: "server version",
      level: "problem",
      found: `14.${String(versionNum - 140_000)}: concurrent index builds can corrupt an index before 14.4`,
      remedy: "upgrade to the newest minor release of 14; until then IndexPilot advises and builds nothing",
    });
  } else {
    checks.push(ok("server version", `${String(majorVersion(versionNum))} is supported`));
  }
  if (server.node === "replica") {
    checks.push({
      name: "primary",
      level: "warning",
      found: "this server is a replica: its workload can be read, nothing can be built on it",
      remedy: "give the primary with --build-url",
    });
  }
  return checks;
};

const statementChecks = async (session: Session): Promise<Check[]> => {
  const name = "pg_stat_statements";
  const [row] = await session.query<{ installed: boolean; preloaded: boolean; track: string | null }>(
    `select exists (select from pg_extension where extname = 'pg_stat_statements') as installed,
            exists (select from pg_settings where name = 'pg_stat_statements.track') as preloaded,
            current_setting('pg_stat_statements.track', true) as track`,
  );
  if (row?.installed !== true) {
    return [
      {
        name,
        level: "problem",
        found: "not installed in this database, so the workload can only come from files (--queries)",
        remedy:
          row?.preloaded === true
            ? "as a superuser: create extension pg_stat_statements"
            : "set shared_preload_libraries = 'pg_stat_statements', restart, then as a superuser: create extension pg_stat_statements",
      },
    ];
  }
  if (!row.preloaded || row.track === "none") {
    return [
      {
        name,
        level: "problem",
        found: row.preloaded
          ? "installed, but pg_stat_statements.track = none"
          : "installed, but its library is not loaded",
        remedy: row.preloaded
          ? "set pg_stat_statements.track = top"
          : "set shared_preload_libraries = 'pg_stat_statements' and restart",
      },
    ];
  }
  return [ok(name, `installed, track = ${row.track ?? "top"}`)];
};

const observeRoleChecks = async (session: Session): Promise<Check[]> => {
  const [row] = await session.query<{
    role: string;
    superuser: boolean;
    bypass: boolean;
    statistics: boolean;
    data: boolean;
    blinded: number;
  }>(
    `select r.rolname as role, r.rolsuper as superuser, r.rolbypassrls as bypass,
            pg_has_role(r.oid, 'pg_read_all_stats', 'usage') as statistics,
            pg_has_role(r.oid, 'pg_read_all_data', 'usage') as data,
            (select count(*)::int from pg_class c join pg_namespace n on n.oid = c.relnamespace
              where c.relrowsecurity and c.relkind in ('r', 'p')
                and (c.relforcerowsecurity or not pg_has_role(r.oid, c.relowner, 'usage'))) as blinded
       from pg_roles r where r.rolname = current_user`,
  );
  if (row === undefined) throw new Error("the session's own role is not in pg_roles");
  const role = quoteIdentifier(row.role);
  const checks: Check[] = [
    row.statistics
      ? ok("observe: read statistics", `${row.role} may read everybody's statements`)
      : {
          name: "observe: read statistics",
          level: "problem",
          found: `${row.role} sees only its own statements`,
          remedy: `grant pg_monitor to ${role}`,
        },
    row.data
      ? ok("observe: read column statistics", `${row.role} may read pg_stats and EXPLAIN every query`)
      : {
          name: "observe: read column statistics",
          level: "problem",
          found: `pg_stats is silently empty for ${row.role} on tables it may not read`,
          remedy: `grant pg_read_all_data to ${role}`,
        },
  ];
  if (row.blinded > 0 && !row.superuser && !row.bypass) {
    checks.push({
      name: "observe: row-level security",
      level: "warning",
      found: `${String(row.blinded)} tables with row-level security hide their statistics from ${row.role}`,
      remedy: `alter role ${role} bypassrls`,
    });
  }
  return checks;
};

const statisticsChecks = async (session: Session): Promise<Check[]> => {
  const rows = await session.query<{ table: string }>(
    `select format('%I.%I', n.nspname, c.relname) as table
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'm') and c.relpersistence <> 't' and c.reltuples < 0
        and n.nspname not in ('pg_catalog', 'information_schema', 'indexpilot') and pg_relation_size(c.oid) > 0
      order by pg_relation_size(c.oid) desc, 1`,
  );
  const [first] = rows;
  if (first === undefined) return [ok("planner statistics", "every table with rows has been analysed")];
  return [
    {
      name: "planner statistics",
      level: "warning",
      found: `${String(rows.length)} ${rows.length === 1 ? "table was" : "tables were"} never analysed, the largest is ${first.table}`,
      remedy: `analyze ${first.table}`,
    },
  ];
};

const whatIfChecks = async (session: Session, server: ServerIdentity): Promise<Check[]> => {
  const major = majorVersion(server.versionNum);
  const shadow = availableMajors().includes(major);
  const [row] = await session.query<{ version: string | null }>(
    "select (select extversion from pg_extension where extname = 'hypopg') as version",
  );
  const hypopg = row?.version ?? null;
  const checks: Check[] = [
    shadow
      ? ok("what-if: shadow", `an embedded PostgreSQL ${String(major)} is on this machine`)
      : {
          name: "what-if: shadow",
          level: hypopg === null ? "problem" : "warning",
          found: `no embedded PostgreSQL ${String(major)} on this machine`,
          remedy: `\`indexpilot advise\` names the command that installs it${hypopg === null ? "" : "; or use --what-if hypopg"}`,
        },
  ];
  if (hypopg !== null) checks.push(ok("what-if: hypopg", `HypoPG ${hypopg} is installed in this database`));
  return checks;
};

const buildRoleChecks = async (session: Session): Promise<Check[]> => {
  const [row] = await session.query<{
    role: string;
    database: string;
    store: boolean;
    may_create_store: boolean;
    foreign_tables: number;
    example: string | null;
    owner: string | null;
    closed_schema: string | null;
  }>(
    `with mine as (
       select c.oid, c.relnamespace, n.nspname, c.relname, c.relowner
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p', 'm') and c.relpersistence <> 't'
          and n.nspname not in ('pg_catalog', 'information_schema', 'indexpilot') and n.nspname !~ '^pg_toast'
          and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
     ), foreign_ones as (
       select * from mine where not pg_has_role(current_user, relowner, 'usage') order by nspname, relname
     )
     select current_user as role, current_database() as database,
            to_regnamespace('indexpilot') is not null as store,
            has_database_privilege(current_database(), 'create') as may_create_store,
            (select count(*)::int from foreign_ones) as foreign_tables,
            (select format('%I.%I', nspname, relname) from foreign_ones limit 1) as example,
            (select pg_get_userbyid(relowner)::text from foreign_ones limit 1) as owner,
            (select nspname::text from mine where not has_schema_privilege(relnamespace, 'create') order by 1 limit 1) as closed_schema`,
  );
  if (row === undefined) throw new Error("a query without FROM returned no row");
  const role = quoteIdentifier(row.role);
  const checks: Check[] = [];
  checks.push(
    row.foreign_tables === 0
      ? ok("build: owns the tables", `${row.role} may create indexes on every table`)
      : {
          name: "build: owns the tables",
          level: "warning",
          found: `${row.role} does not own ${String(row.foreign_tables)} tables, ${row.example ?? ""} among them`,
          remedy: `grant ${quoteIdentifier(row.owner ?? "")} to ${role} (only an owner can create indexes)`,
        },
  );
  if (row.closed_schema !== null) {
    checks.push({
      name: "build: schema",
      level: "warning",
      found: `${row.role} may not create in schema ${row.closed_schema}`,
      remedy: `grant create on schema ${quoteIdentifier(row.closed_schema)} to ${role}`,
    });
  }
  checks.push(
    row.store || row.may_create_store
      ? ok("build: own schema", row.store ? "schema indexpilot exists" : `${row.role} may create schema indexpilot`)
      : {
          name: "build: own schema",
          level: "warning",
          found: `${row.role} may not create schema indexpilot, where decisions and history are kept`,
          remedy: `create schema indexpilot authorization ${role}, or grant create on database ${quoteIdentifier(row.database)} to ${role}`,
        },
  );
  return checks;
};
