import type { SchemaObject } from "../../domain/index.ts";
import type { Session } from "../session.ts";
import { isExtensionMember, isUserSchema } from "./scope.ts";

// `dictinitoption` is text as CREATE TEXT SEARCH DICTIONARY takes it.
const dictionaryStatement = `
select 'text search dictionary' as kind, n.nspname || '.' || d.dictname as name,
       format('create text search dictionary %I.%I (template = %I.%I%s)', n.nspname, d.dictname, tn.nspname, t.tmplname,
              ', ' || nullif(d.dictinitoption, '')) as definition
  from pg_ts_dict d
  join pg_namespace n on n.oid = d.dictnamespace
  join pg_ts_template t on t.oid = d.dicttemplate
  join pg_namespace tn on tn.oid = t.tmplnamespace
 where ${isUserSchema("n.nspname")} and not ${isExtensionMember("pg_ts_dict", "d.oid")}
 order by d.oid`;

const configurationStatement = `
select 'text search configuration' as kind, n.nspname || '.' || c.cfgname as name,
       format('create text search configuration %I.%I (parser = %I.%I)', n.nspname, c.cfgname, pn.nspname, p.prsname)
       || coalesce((select string_agg(format('; alter text search configuration %I.%I add mapping for %I with %s',
                                             n.nspname, c.cfgname, m.token, m.dictionaries), '' order by m.token)
                      from (select t.alias as token, string_agg(m.mapdict::regdictionary::text, ', ' order by m.mapseqno) as dictionaries
                              from pg_ts_config_map m
                              join ts_token_type(c.cfgparser) t on t.tokid = m.maptokentype
                             where m.mapcfg = c.oid
                             group by t.alias) m), '') as definition
  from pg_ts_config c
  join pg_namespace n on n.oid = c.cfgnamespace
  join pg_ts_parser p on p.oid = c.cfgparser
  join pg_namespace pn on pn.oid = p.prsnamespace
 where ${isUserSchema("n.nspname")} and not ${isExtensionMember("pg_ts_config", "c.oid")}
 order by c.oid`;

/** Text search dictionaries and configurations, as the statements that make them. Every role may ask. */
export const readTextSearch = async (session: Session): Promise<SchemaObject[]> => [
  ...(await session.query<SchemaObject>(dictionaryStatement)),
  ...(await session.query<SchemaObject>(configurationStatement)),
];
