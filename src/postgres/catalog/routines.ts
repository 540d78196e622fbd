import type { Routine, SchemaObject } from "../../domain/index.ts";
import type { Session } from "../session.ts";
import { isExtensionMember, isUserSchema } from "./scope.ts";

// A range brings constructors and a cast of its own.
const isOwnMaking = (catalog: "pg_proc" | "pg_cast", oid: string): string =>
  `not ${isExtensionMember(catalog, oid)}
   and not exists (select from pg_depend i where i.classid = '${catalog}'::regclass and i.objid = ${oid} and i.deptype = 'i')`;

// Not: triggers, which no plan calls, and what only C can write (cstring, internal).
const functionStatement = `
select n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' as name, l.lanname as language,
       case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end as volatility,
       pg_get_functiondef(p.oid) as definition
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  join pg_language l on l.oid = p.prolang
 where p.prokind = 'f' and ${isUserSchema("n.nspname")} and ${isOwnMaking("pg_proc", "p.oid")}
   and not array['trigger', 'event_trigger', 'cstring', 'cstring[]', 'internal', 'language_handler', 'fdw_handler', 'index_am_handler',
                 'table_am_handler', 'tsm_handler']::regtype[]
           && (p.prorettype || p.proargtypes::oid[])::regtype[]
 order by p.oid`;

/** Where `pg_get_functiondef` ends the head of its statement. */
const BODY = /\n(?=AS |BEGIN ATOMIC\n|RETURN )/;

const rebuilt = new Set(["sql", "plpgsql"]);

/** Functions by their definition, with the bodies that SQL and PL/pgSQL have. Every role may ask. */
export const readRoutines = async (session: Session): Promise<Routine[]> => {
  const rows = await session.query<Omit<Routine, "header" | "body"> & { definition: string }>(functionStatement);
  return rows.map(({ name, language, volatility, definition }) => {
    const at = definition.search(BODY);
    const header = at < 0 ? definition : definition.slice(0, at);
    return { name, language, volatility, header, body: rebuilt.has(language) ? definition.slice(header.length) : null };
  });
};

const option = (name: string, column: string): string =>
  `case when ${column} <> 0 then format(', ${name} = %s', ${column}::regproc) else '' end`;

const aggregateStatement = `
select 'aggregate' as kind, n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' as name,
       format('create aggregate %I.%I(%s) (sfunc = %s, stype = %s', n.nspname, p.proname,
              case when p.pronargs = 0 then '*' else pg_get_function_arguments(p.oid) end,
              g.aggtransfn, format_type(g.aggtranstype, null))
       || case when g.aggtransspace > 0 then format(', sspace = %s', g.aggtransspace) else '' end
       || ${option("finalfunc", "g.aggfinalfn")} || case when g.aggfinalextra then ', finalfunc_extra' else '' end
       || ${option("combinefunc", "g.aggcombinefn")} || ${option("serialfunc", "g.aggserialfn")}
       || ${option("deserialfunc", "g.aggdeserialfn")}
       || case when g.agginitval is not null then format(', initcond = %L', g.agginitval) else '' end
       || case when g.aggsortop <> 0 then format(', sortop = operator(%I.%s)', sn.nspname, s.oprname) else '' end
       || format(', parallel = %s)', case p.proparallel when 's' then 'safe' when 'r' then 'restricted' else 'unsafe' end)
         as definition
  from pg_aggregate g
  join pg_proc p on p.oid = g.aggfnoid
  join pg_namespace n on n.oid = p.pronamespace
  left join pg_operator s on s.oid = g.aggsortop
  left join pg_namespace sn on sn.oid = s.oprnamespace
 where g.aggkind = 'n' and ${isUserSchema("n.nspname")} and not ${isExtensionMember("pg_proc", "p.oid")}
 order by p.oid`;

const operatorStatement = `
select 'operator' as kind, n.nspname || '.' || o.oprname as name,
       format('create operator %I.%s (function = %s', n.nspname, o.oprname, o.oprcode)
       || case when o.oprleft <> 0 then format(', leftarg = %s', format_type(o.oprleft, null)) else '' end
       || format(', rightarg = %s', format_type(o.oprright, null))
       || case when c.oid is not null then format(', commutator = operator(%I.%s)', cn.nspname, c.oprname) else '' end
       || case when g.oid is not null then format(', negator = operator(%I.%s)', gn.nspname, g.oprname) else '' end
       || ${option("restrict", "o.oprrest")} || ${option("join", "o.oprjoin")}
       || case when o.oprcanhash then ', hashes' else '' end || case when o.oprcanmerge then ', merges' else '' end || ')'
         as definition
  from pg_operator o
  join pg_namespace n on n.oid = o.oprnamespace
  left join pg_operator c on c.oid = o.oprcom
  left join pg_namespace cn on cn.oid = c.oprnamespace
  left join pg_operator g on g.oid = o.oprnegate
  left join pg_namespace gn on gn.oid = g.oprnamespace
 where o.oprcode <> 0 and ${isUserSchema("n.nspname")} and not ${isExtensionMember("pg_operator", "o.oid")}
 order by o.oid`;

// Casts have no schema; those from 16384 on are not PostgreSQL's own.
const castStatement = `
select 'cast' as kind, format('(%s as %s)', format_type(c.castsource, null), format_type(c.casttarget, null)) as name,
       format('create cast (%s as %s) ', format_type(c.castsource, null), format_type(c.casttarget, null))
       || case c.castmethod when 'f' then 'with function ' || c.castfunc::regprocedure when 'i' then 'with inout' else 'without function' end
       || case c.castcontext when 'i' then ' as implicit' when 'a' then ' as assignment' else '' end as definition
  from pg_cast c
 where c.oid >= 16384 and ${isOwnMaking("pg_cast", "c.oid")}
 order by c.oid`;

// A family of several classes is rebuilt as one per class: their cross-type members are missing then.
const operatorClassStatement = `
select 'operator class' as kind, n.nspname || '.' || k.opcname as name,
       format('create operator class %I.%I %sfor type %s using %I as ', n.nspname, k.opcname,
              case when k.opcdefault then 'default ' else '' end, format_type(k.opcintype, null), m.amname)
       || concat_ws(', ',
            case when k.opckeytype <> 0 then format('storage %s', format_type(k.opckeytype, null)) end,
            (select string_agg(format('operator %s %s%s', o.amopstrategy, o.amopopr::regoperator,
                                      case when o.amopsortfamily <> 0 then format(' for order by %I.%I', fn.nspname, f.opfname) else '' end),
                               ', ' order by o.amopstrategy)
               from pg_amop o
               left join pg_opfamily f on f.oid = o.amopsortfamily
               left join pg_namespace fn on fn.oid = f.opfnamespace
              where o.amopfamily = k.opcfamily and o.amoplefttype = k.opcintype and o.amoprighttype = k.opcintype),
            (select string_agg(format('function %s (%s, %s) %s', p.amprocnum, format_type(p.amproclefttype, null),
                                      format_type(p.amprocrighttype, null), p.amproc::regprocedure), ', ' order by p.amprocnum)
               from pg_amproc p
              where p.amprocfamily = k.opcfamily and p.amproclefttype = k.opcintype and p.amprocrighttype = k.opcintype)) as definition
  from pg_opclass k
  join pg_namespace n on n.oid = k.opcnamespace
  join pg_am m on m.oid = k.opcmethod
 where ${isUserSchema("n.nspname")} and not ${isExtensionMember("pg_opclass", "k.oid")}
 order by k.oid`;

/** Aggregates, operators, casts and operator classes, as the statements that make them. Every role may ask. */
export const readOperators = async (session: Session): Promise<SchemaObject[]> => {
  const objects: SchemaObject[] = [];
  for (const statement of [operatorStatement, aggregateStatement, castStatement, operatorClassStatement]) {
    objects.push(...(await session.query<SchemaObject>(statement)));
  }
  return objects;
};
