import type { Session } from "../postgres/index.ts";
import type { ThresholdLimits } from "./adaptive-threshold.ts";
import type { SafeguardLimits } from "./limits.ts";

/** How busy the server is. */
export interface ServerLoad {
  /** Sessions of others that run a statement now, or wait for a lock in one. */
  readonly activeSessions: number;
  /** Sessions whose state this role may not see (`pg_monitor` shows it). */
  readonly hiddenSessions: number;
}

// Reading locks nothing. Needs pg_read_all_stats, part of pg_monitor, to see what others do.
const loadSql = `
  select count(*) filter (where state = 'active')::int as active,
         count(*) filter (where backend_type is null)::int as hidden
    from pg_catalog.pg_stat_activity
   where (backend_type = 'client backend' or backend_type is null) and pid <> pg_backend_pid()
     and application_name not like 'indexpilot:%'`;

/** Reads the load over a session of the observing role. */
export const readServerLoad = async (session: Session): Promise<ServerLoad> => {
  const [row] = await session.query<{ active: number; hidden: number }>(loadSql);
  return { activeSessions: row?.active ?? 0, hiddenSessions: row?.hidden ?? 0 };
};

/** In active sessions per core. */
export const loadLimits = (limits: SafeguardLimits): ThresholdLimits => ({
  floor: limits.loadFloor,
  ceiling: limits.loadCeiling,
  headroom: limits.loadHeadroom,
});
