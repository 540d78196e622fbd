import type { BaseType, SchemaObject } from "../../domain/index.ts";
import type { Session } from "../session.ts";
import { isExtensionMember, isUserSchema } from "./scope.ts";

const localeColumn = (versionNum: number): string => {
  if (versionNum >= 170_000) return "coalesce(l.colllocale, l.collcollate)";
  return versionNum >= 150_000 ? "coalesce(l.colliculocale, l.collcollate)" : "l.collcollate";
};

// The user's, and those of the operating system (initdb gives them OIDs from 12000 on) that a column or an index uses.
const collationStatement = (versionNum: number): string => `
select 'collation' as kind, format('%I.%I', n.nspname, l.collname) as name,
       format('create collation %I.%I (', n.nspname, l.collname)
       || case when l.collprovider = 'c' then format('lc_collate = %L, lc_ctype = %L', l.collcollate, l.collctype)
               else format('provider = %s, locale = %L, deterministic = %s',
                           case l.collprovider when 'i' then 'icu' else 'builtin' end,
                           ${localeColumn(versionNum)}, l.collisdeterministic::text) end
       ${versionNum >= 160_000 ? "|| case when l.collicurules is null then '' else format(', rules = %L', l.collicurules) end" : ""} || ')' as definition
  from pg_collation l
  join pg_namespace n on n.oid = l.collnamespace
 where (${isUserSchema("n.nspname")} and not ${isExtensionMember("pg_collation", "l.oid")})
    or (l.oid >= 12000 and n.nspname = 'pg_catalog' and l.oid in (
          select a.attcollation from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace cn on cn.oid = c.relnamespace
           where c.relpersistence <> 't' and ${isUserSchema("cn.nspname")}))
 order by l.oid`;

const compositeStatement = `
select 'type' as kind, n.nspname || '.' || t.typname as name,
       format('create type %I.%I as (', n.nspname, t.typname)
       || coalesce(string_agg(
            format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
            || case when a.attcollation <> 0 and a.attcollation <> at.typcollation
                    then format(' collate %I.%I', ln.nspname, l.collname) else '' end, ', ' order by a.attnum), '')
       || ')' as definition
  from pg_type t
  join pg_namespace n on n.oid = t.typnamespace
  join pg_class c on c.oid = t.typrelid and c.relkind = 'c'
  left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join pg_type at on at.oid = a.atttypid
  left join pg_collation l on l.oid = a.attcollation
  left join pg_namespace ln on ln.oid = l.collnamespace
 where ${isUserSchema("n.nspname")} and not ${isExtensionMember("pg_type", "t.oid")}
 group by t.oid, n.nspname, t.typname
 order by t.oid`;

// A canonical function can only be in C; the planner does without.
const rangeStatement = `
select 'type' as kind, n.nspname || '.' || t.typname as name,
       format('create type %I.%I as range (subtype = %s', n.nspname, t.typname, format_type(r.rngsubtype, null))
       || case when not o.opcdefault then format(', subtype_opclass = %I.%I', os.nspname, o.opcname) else '' end
       || case when r.rngcollation <> 0 and r.rngcollation <> st.typcollation
               then format(', collation = %I.%I', ln.nspname, l.collname) else '' end
       || case when r.rngsubdiff <> 0 then format(', subtype_diff = %s', r.rngsubdiff) else '' end
       || format(', multirange_type_name = %I.%I)', mn.nspname, m.typname) as definition
  from pg_range r
  join pg_type t on t.oid = r.rngtypid
  join pg_namespace n on n.oid = t.typnamespace
  join pg_type st on st.oid = r.rngsubtype
  join pg_opclass o on o.oid = r.rngsubopc
  join pg_namespace os on os.oid = o.opcnamespace
  join pg_type m on m.oid = r.rngmultitypid
  join pg_namespace mn on mn.oid = m.typnamespace
  left join pg_collation l on l.oid = r.rngcollation
  left join pg_namespace ln on ln.oid = l.collnamespace
 where ${isUserSchema("n.nspname")} and not ${isExtensionMember("pg_type", "t.oid")}
 order by t.oid`;

/** Collations, composite types and ranges, as the statements that make them. Every role may ask. */
export const readTypes = async (session: Session): Promise<SchemaObject[]> => [
  ...(await session.query<SchemaObject>(collationStatement(session.versionNum))),
  ...(await session.query<SchemaObject>(compositeStatement)),
  ...(await session.query<SchemaObject>(rangeStatement)),
];

// Of an extension's types those that a column or a domain uses: the extension may be missing elsewhere.
const baseStatement = `
select n.nspname as schema, t.typname as name, t.typlen as length, t.typbyval as "byValue",
       case t.typalign when 'c' then 'char' when 's' then 'int2' when 'i' then 'int4' else 'double' end as alignment,
       case t.typstorage when 'p' then 'plain' when 'm' then 'main' when 'x' then 'extended' else 'external' end as storage
  from pg_type t
  join pg_namespace n on n.oid = t.typnamespace
 where t.typtype = 'b' and t.typisdefined and ${isUserSchema("n.nspname")}
   and not exists (select from pg_type e where e.typarray = t.oid)
   and (not ${isExtensionMember("pg_type", "t.oid")}
        or exists (select from pg_type d where d.typtype = 'd' and d.typbasetype in (t.oid, t.typarray))
        or exists (select from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace cn on cn.oid = c.relnamespace
                    where a.atttypid in (t.oid, t.typarray) and a.attnum > 0
                      and c.relkind in ('r', 'p', 'm', 'c') and ${isUserSchema("cn.nspname")}))
 order by t.oid`;

/** Types of the user's own making, and of extensions as far as columns use them. Every role may ask. */
export const readBaseTypes = (session: Session): Promise<BaseType[]> => session.query(baseStatement);
