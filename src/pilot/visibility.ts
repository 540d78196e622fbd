import { quoteName, type Session } from "../postgres/index.ts";
import { isApplications, some } from "./doctor/check.ts";
import { readMemberships } from "./membership.ts";

/** Something that the observing role may not see, though advice rests on it. */
export interface BlindSpot {
  readonly code: "not_readable" | "row_level_security";
  /** Quoted names. */
  readonly tables: readonly string[];
  readonly problem: string;
  /** SQL. */
  readonly remedy: string;
}

interface RelationRow {
  readonly schema: string;
  readonly name: string;
  readonly readable: boolean;
  readonly filtered: boolean;
  readonly role: string;
}

/**
 * Tables and views whose statistics or plans are hidden from the session's role: those it may not read (pg_stats leaves them out in silence, EXPLAIN
 * refuses), and those that row-level security filters for it (pg_stats leaves them out as well, pg_statistic does not). Reads the catalogue only.
 */
export const readBlindSpots = async (session: Session): Promise<readonly BlindSpot[]> => {
  const rows = await session.query<RelationRow>(
    `select n.nspname::text as schema, c.relname::text as name, current_user::text as role,
            has_table_privilege(c.oid, 'select') and has_schema_privilege(n.oid, 'usage') as readable,
            c.relrowsecurity and row_security_active(c.oid) and not has_table_privilege('pg_statistic', 'select') as filtered
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'm', 'v', 'f') and ${isApplications}
      order by 1, 2`,
  );
  const spots: BlindSpot[] = [];
  const unreadable = rows.filter((row) => !row.readable).map(quoteName);
  const [first] = rows;
  if (first === undefined) return [];
  const remedy = (await readMemberships(session, ["pg_read_all_data"])).get("pg_read_all_data")?.grant ?? "";
  if (unreadable.length > 0) {
    spots.push({
      code: "not_readable",
      tables: unreadable,
      problem: `pg_stats is silently empty, and EXPLAIN refused, for ${first.role} on ${some(unreadable)}`,
      remedy,
    });
  }
  const filtered = rows.filter((row) => row.readable && row.filtered).map(quoteName);
  if (filtered.length > 0) {
    spots.push({
      code: "row_level_security",
      tables: filtered,
      problem: `row-level security hides the statistics of ${some(filtered)} from ${first.role}`,
      remedy,
    });
  }
  return spots;
};
