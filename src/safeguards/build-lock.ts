import type { Session } from "../postgres/index.ts";

/** Advisory lock in the target: "IPLT", 2. */
const BUILD_LOCK = [0x49_50_4c_54, 2] as const;

interface BuildLock {
  release(): Promise<void>;
}

/**
 * Takes the lock that lets one IndexPilot at a time change indexes of a database, or answers null at once.
 *
 * Take it on the session that builds: the server then keeps it exactly as long as the backend lives, so that a build that outlives our process
 * still keeps others out. Never waits: a session that queues for an advisory lock holds a snapshot, and concurrent builds wait for that.
 * Advisory locks belong to one database; builds in others of the server are seen by {@link readServerCondition}.
 */
export const acquireBuildLock = async (session: Session): Promise<BuildLock | null> => {
  const [row] = await session.query<{ taken: boolean }>(
    "select pg_catalog.pg_try_advisory_lock($1, $2) as taken",
    BUILD_LOCK,
  );
  if (row?.taken !== true) return null;
  return {
    release: async () => {
      await session.query("select pg_catalog.pg_advisory_unlock($1, $2)", BUILD_LOCK);
    },
  };
};
