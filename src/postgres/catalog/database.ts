import type { Catalog, DomainType, EnumType, TableName, View } from "../../domain/index.ts";
import type { Session } from "../session.ts";
import { isExtensionMember, isUserSchema } from "./scope.ts";

type Locale = Pick<Catalog, "encoding" | "collate" | "ctype" | "localeProvider">;

const localeColumn = (versionNum: number): string => {
  if (versionNum >= 170_000) return "datlocale";
  return versionNum >= 150_000 ? "daticulocale" : "null";
};

/** Encoding and collation of the session's database. */
export const readLocale = async (session: Session): Promise<Locale> => {
  const provider = session.versionNum >= 150_000 ? "datlocprovider" : "'c'";
  const [row] = await session.query<{
    encoding: string;
    collate: string;
    ctype: string;
    provider: "c" | "i" | "b";
    locale: string | null;
  }>(
    `select pg_encoding_to_char(encoding) as encoding, datcollate as "collate", datctype as ctype,
            ${provider} as provider, ${localeColumn(session.versionNum)} as locale
       from pg_database where datname = current_database()`,
  );
  if (row === undefined) throw new Error("the session's database is not in pg_database");
  const { encoding, collate, ctype, provider: code, locale } = row;
  return code === "c" || locale === null
    ? { encoding, collate, ctype }
    : { encoding, collate, ctype, localeProvider: { name: code === "i" ? "icu" : "builtin", locale } };
};

/** Outside the planner's own categories, yet they change what it chooses or how a constant in a query is read. */
const furtherSettings = [
  "work_mem",
  "hash_mem_multiplier",
  "max_parallel_workers",
  "max_parallel_workers_per_gather",
  "parallel_leader_participation",
  "effective_io_concurrency",
  "TimeZone",
  "DateStyle",
  "IntervalStyle",
  "transform_null_equals",
  "block_size",
];

/** Settings that change plans, as they are in this session: the server's, the database's and the role's. */
export const readPlannerSettings = async (session: Session): Promise<Record<string, string>> => {
  const rows = await session.query<{ name: string; value: string }>(
    `select name, current_setting(name) as value
       from pg_settings
      where category like 'Query Tuning /%' or name = any ($1)
      order by name`,
    [furtherSettings],
  );
  return Object.fromEntries(rows.map((row) => [row.name, row.value]));
};

/** Since when the database's counters count; from 15 on the server knows only of a reset. Every role may ask. */
export const readActivitySince = async (session: Session): Promise<string | null> => {
  const [row] = await session.query<{ since: Date | null }>(
    "select stats_reset as since from pg_stat_database where datname = current_database()",
  );
  return row?.since?.toISOString() ?? null;
};

export const readSchemas = async (session: Session): Promise<string[]> => {
  const rows = await session.query<{ name: string }>(
    `select nspname as name from pg_namespace where ${isUserSchema("nspname")} order by oid`,
  );
  return rows.map((row) => row.name);
};

export const readExtensions = (session: Session): Promise<Catalog["extensions"][number][]> =>
  session.query(
    `select e.extname as name, n.nspname as schema, e.extversion as version,
            exists (select from pg_depend d
                     where d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid and d.deptype = 'e'
                       and (d.classid in ('pg_operator'::regclass, 'pg_opclass'::regclass, 'pg_am'::regclass)
                            or d.classid = 'pg_type'::regclass
                               and exists (select from pg_type t where t.oid = d.objid and t.typtype <> 'c' and t.typelem = 0)))
              as "bringsTypes"
       from pg_extension e join pg_namespace n on n.oid = e.extnamespace
      order by e.oid`,
  );

export const readEnums = (session: Session): Promise<EnumType[]> =>
  session.query(
    `select n.nspname as schema, t.typname as name, array_agg(l.enumlabel::text order by l.enumsortorder) as labels
       from pg_type t
       join pg_namespace n on n.oid = t.typnamespace
       join pg_enum l on l.enumtypid = t.oid
      where ${isUserSchema("n.nspname")} and not ${isExtensionMember("pg_type", "t.oid")}
      group by t.oid, n.nspname, t.typname
      order by t.oid`,
  );

export const readDomains = (session: Session): Promise<DomainType[]> =>
  session.query(
    `select n.nspname as schema, t.typname as name, format_type(t.typbasetype, t.typtypmod) as "baseType",
            t.typnotnull as "notNull",
            case when t.typcollation <> 0 and t.typcollation <> b.typcollation
                 then format('%I.%I', ln.nspname, l.collname) end as collation,
            coalesce((select json_agg(json_build_object('name', k.conname, 'definition', pg_get_constraintdef(k.oid)) order by k.conname)
                        from pg_constraint k where k.contypid = t.oid and k.contype = 'c'), '[]') as checks
       from pg_type t
       join pg_namespace n on n.oid = t.typnamespace
       join pg_type b on b.oid = t.typbasetype
       left join pg_collation l on l.oid = t.typcollation
       left join pg_namespace ln on ln.oid = l.collnamespace
      where t.typtype = 'd' and ${isUserSchema("n.nspname")} and not ${isExtensionMember("pg_type", "t.oid")}
      order by t.oid`,
  );

/** Takes ACCESS SHARE for an instant on the relations a view reads. */
export const readViews = (session: Session): Promise<View[]> =>
  session.query(
    `select n.nspname as schema, c.relname as name, pg_get_viewdef(c.oid) as definition,
            pg_get_userbyid(c.relowner) as owner, coalesce(c.reloptions, '{}') as options
       from pg_class c
       join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'v' and c.relpersistence <> 't' and ${isUserSchema("n.nspname")}
        and not ${isExtensionMember("pg_class", "c.oid")}
      order by c.oid`,
  );

/** Tables that other servers hold. Every role may ask. */
export const readForeignTables = (session: Session): Promise<TableName[]> =>
  session.query(
    `select n.nspname as schema, c.relname as name
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'f' and ${isUserSchema("n.nspname")}
      order by c.oid`,
  );

/** Sequences by name, but for those that belong to identity columns. Every role may ask. */
export const readSequences = (session: Session): Promise<TableName[]> =>
  session.query(
    `select n.nspname as schema, c.relname as name
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'S' and c.relpersistence <> 't' and ${isUserSchema("n.nspname")} and not ${isExtensionMember("pg_class", "c.oid")}
        and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'i')
      order by c.oid`,
  );
