import { type ConnectionTarget, openSession, type Session } from "../postgres/index.ts";

/** Advisory lock in the target: "IPLT", 3. */
const LEADER_LOCK = [0x49_50_4c_54, 3] as const;

/**
 * One process that would lead.
 *
 * A session-level advisory lock, not a leased row: the server gives it back the moment the session ends, however that came about, so that a stand-by takes over in
 * seconds; no clocks have to agree; and nothing is written to the target just to stay alive. A peer that vanished without a word (its machine lost
 * power) is noticed by TCP keepalives within half a minute. It goes down with its server: after a failover whoever asks the new primary first leads.
 */
export interface Candidacy {
  readonly session: Session;
  /** Asks once, never waits: who queues for an advisory lock holds a snapshot, which concurrent builds wait for. `replica`: the server takes no changes now. */
  ask(): Promise<"leads" | "taken" | "replica">;
  /** Whether the session, and with it the lock, still lives on a primary. @throws IndexPilotError `connection_lost` */
  stillLeads(): Promise<boolean>;
  close(): Promise<void>;
}

// Reads; locks nothing of the target's.
const replicaSql = "select pg_catalog.pg_is_in_recovery() as replica";

export const openCandidacy = async (target: ConnectionTarget): Promise<Candidacy> => {
  const session = await openSession(target, "watch");
  const isReplica = async (): Promise<boolean> =>
    (await session.query<{ replica: boolean }>(replicaSql))[0]?.replica === true;
  try {
    await session.query("set tcp_keepalives_idle = 10");
    await session.query("set tcp_keepalives_interval = 5");
    await session.query("set tcp_keepalives_count = 3");
  } catch (error) {
    await session.close();
    throw error;
  }
  return {
    session,
    ask: async () => {
      if (await isReplica()) return "replica";
      const [row] = await session.query<{ taken: boolean }>(
        "select pg_catalog.pg_try_advisory_lock($1, $2) as taken",
        LEADER_LOCK,
      );
      return row?.taken === true ? "leads" : "taken";
    },
    stillLeads: async () => !(await isReplica()),
    close: () => session.close(),
  };
};
