import type { Catalog } from "../domain/index.ts";
import { quoteIdentifier, quoteLiteral, type Session, sqlStateOf } from "../postgres/index.ts";
import type { Step } from "./attempt.ts";
import type { Available } from "./schema.ts";

export const SHADOW_DATABASE = "shadow";

/** One way to sort, as options of CREATE DATABASE, and what differs from the target by it. */
interface LocaleChoice {
  readonly options: string;
  readonly differs: boolean;
  /** Whether it sorts by bytes, as far as the planner knows; null where that is not the C library's to say. */
  readonly plain: boolean | null;
}

const localeChoices = (catalog: Catalog, major: number): LocaleChoice[] => {
  const library = (collate: string, ctype: string): string =>
    `lc_collate ${quoteLiteral(collate)} lc_ctype ${quoteLiteral(ctype)}` +
    (major >= 15 ? " locale_provider libc" : "");
  const provider = catalog.localeProvider;
  const exact =
    provider === undefined
      ? library(catalog.collate, catalog.ctype)
      : `lc_collate 'C' lc_ctype 'C' locale_provider ${provider.name} ${provider.name}_locale ${quoteLiteral(provider.locale)}`;
  return [
    {
      options: exact,
      differs: false,
      plain: provider === undefined ? catalog.collate === "C" || catalog.collate === "POSIX" : null,
    },
    // Not "C" for the planner: LIKE 'a%' on a plain index is as impossible as with any language's order.
    { options: library("C.UTF-8", "C.UTF-8"), differs: true, plain: false },
    { options: library("en_US.UTF-8", "en_US.UTF-8"), differs: true, plain: false },
    { options: library("C", "C"), differs: true, plain: true },
  ];
};

const isPlain = async (session: Session): Promise<boolean> => {
  const [row] = await session.query<{ plain: boolean }>(
    "select datcollate in ('C', 'POSIX') as plain from pg_database where datname = $1",
    [SHADOW_DATABASE],
  );
  return row?.plain === true;
};

/** Makes the shadow's database with the target's encoding, and with its collation where this machine has it (else the answer says so). */
export const createShadowDatabase = async (
  session: Session,
  catalog: Catalog,
  major: number,
): Promise<string | null> => {
  let cause: unknown;
  for (const { options, differs, plain } of localeChoices(catalog, major)) {
    try {
      await session.query(
        `create database ${quoteIdentifier(SHADOW_DATABASE)} template template0 encoding ${quoteLiteral(catalog.encoding)} ${options}`,
      );
      // A C library may call by the name of C what was asked for by another; LIKE is then planned in another way.
      if (plain === null || plain === (await isPlain(session))) {
        return differs ? (catalog.localeProvider?.locale ?? catalog.collate) : null;
      }
      await session.query(`drop database ${quoteIdentifier(SHADOW_DATABASE)}`);
    } catch (error) {
      if (sqlStateOf(error) === null) throw error;
      cause = error;
    }
  }
  throw cause;
};

/** Not for a session to set. */
const notCopied = new Set(["block_size"]);

const settingsOf = (catalog: Catalog): [name: string, value: string][] =>
  Object.entries(catalog.plannerSettings)
    .filter(([name]) => !notCopied.has(name))
    .map(([name, value]) => [quoteIdentifier(name), quoteLiteral(value)]);

/** The target's settings, for each later session of the shadow's database. */
export const settingSteps = (catalog: Catalog): Step[] =>
  settingsOf(catalog).map(([name, value]) => ({
    object: `setting ${name}`,
    sql: `alter database ${quoteIdentifier(SHADOW_DATABASE)} set ${name} = ${value}`,
  }));

/** The same for this session. */
export const sessionSettingSteps = (catalog: Catalog): Step[] =>
  settingsOf(catalog).map(([name, value]) => ({ object: `setting ${name}`, sql: `set ${name} = ${value}` }));

// As the target writes it, or without a modifier, which a stand-in does not take. An unknown type is no error, a modifier too many is.
const installTypes = `
create function pg_temp.known_type(given text) returns text language plpgsql as $function$
begin
  return case when to_regtype(given) is not null then given end;
exception when others then
  return case when to_regtype(regexp_replace(given, '\\([^()"]*\\)((\\[\\])*)$', '\\1')) is not null
              then regexp_replace(given, '\\([^()"]*\\)((\\[\\])*)$', '\\1') end;
end $function$`;

export const installAvailable = async (session: Session): Promise<void> => {
  await session.script(installTypes);
};

/** Which of the catalogue's column types the server can resolve by now, and how its collations are written. */
export const readAvailable = async (session: Session, catalog: Catalog): Promise<Available> => {
  const wanted = [...new Set(catalog.tables.flatMap((table) => table.columns.map((column) => column.type)))];
  const types = await session.query<{ type: string; known: string }>(
    "select type, known from unnest($1::text[]) as type cross join pg_temp.known_type(type) as known where known is not null",
    [wanted],
  );
  const collations = await session.query<{ name: string; quoted: string }>(
    `select n.nspname || '.' || c.collname as name, format('%I.%I', n.nspname, c.collname) as quoted
       from pg_collation c join pg_namespace n on n.oid = c.collnamespace
      where c.collencoding in (-1, (select encoding from pg_database where datname = current_database()))`,
  );
  return {
    types: new Map(types.map((row) => [row.type, row.known])),
    collations: new Map(collations.map((row) => [row.name, row.quoted])),
  };
};
