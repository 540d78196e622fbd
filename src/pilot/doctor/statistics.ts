import { quoteName, type Session } from "../../postgres/index.ts";
import { type Check, found, isApplications, ok, some } from "./check.ts";

/** Rows changed since the last ANALYZE, as a share of the table, above which its histograms mislead. Autovacuum itself analyses at a tenth. */
const STALE_SHARE = 0.2;
/** Changes on tables smaller than this change no plan that matters. */
const STALE_ROWS = 1000;
/** Tables per remedy; autovacuum or a second look sees to the rest. */
const SHOWN = 10;

const analyse = (names: readonly string[]): string =>
  `${names
    .slice(0, SHOWN)
    .map((name) => `analyze ${name};`)
    .join(" ")}${names.length > SHOWN ? ` -- and ${String(names.length - SHOWN)} more` : ""}`;

/** How old the planner's statistics are. Counters are open to everybody. */
export const statisticsChecks = async (session: Session): Promise<Check[]> => {
  const rows = await session.query<{
    schema: string;
    name: string;
    never: boolean;
    stale: boolean;
    age: string | null;
  }>(
    `select n.nspname::text as schema, c.relname::text as name,
            c.reltuples < 0 and (c.relkind = 'p' or pg_relation_size(c.oid) > 0) as never,
            c.reltuples >= 0 and coalesce(s.n_mod_since_analyze, 0) > greatest(${String(STALE_ROWS)}, ${String(STALE_SHARE)} * c.reltuples) as stale,
            greatest(s.last_analyze, s.last_autoanalyze)::date::text as age
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
       left join pg_stat_user_tables s on s.relid = c.oid
      where c.relkind in ('r', 'm', 'p') and ${isApplications}
        and (c.relkind <> 'p' or exists (select from pg_inherits i where i.inhparent = c.oid))
      order by c.relkind = 'p', pg_relation_size(c.oid) desc, 1, 2`,
  );
  const never = rows.filter((row) => row.never).map(quoteName);
  const stale = rows.filter((row) => row.stale).map(quoteName);
  const oldest = rows.flatMap((row) => row.age ?? []).toSorted()[0];
  const checks: Check[] = [];
  if (never.length > 0) {
    checks.push(
      found(
        "warning",
        "planner statistics",
        `never made for ${some(never)} (autovacuum leaves partitioned tables to you)`,
        analyse(never),
      ),
    );
  }
  if (stale.length > 0) {
    checks.push(
      found(
        "warning",
        "planner statistics: age",
        `more than a fifth of the rows changed since for ${some(stale)}`,
        analyse(stale),
      ),
    );
  }
  if (checks.length > 0) return checks;
  return [
    ok(
      "planner statistics",
      oldest === undefined ? "no table has rows to analyse" : `every table has some, the oldest of ${oldest}`,
    ),
  ];
};
