import { IndexPilotError } from "../errors.ts";
import { readServerIdentity, type Session } from "../postgres/index.ts";
import { type CounterReading, observeReading, type Store } from "../store/index.ts";
import { readStatementsSnapshot, type StatementsSnapshot } from "../workload/index.ts";

/**
 * Stores what the statements' counters are now, just after something was built or dropped: what took its time before that no longer weighs, for its plan is
 * another one now. Where nothing counts statements there is nothing to store. @throws IndexPilotError `privilege_missing`
 */
export const markChange = async (session: Session, store: Store, excludeRoles: readonly string[]): Promise<void> => {
  const snapshot = await readStatementsSnapshot(session, { excludeRoles }).catch((error: unknown) => {
    if (error instanceof IndexPilotError && error.code === "extension_missing") return null;
    throw error;
  });
  if (snapshot === null) return;
  const { takenAt, resetAt, rows } = snapshot;
  await store.readings.save({
    takenAt,
    resetAt,
    rows: new Map(rows.map(({ key, counters, since }) => [key, { counters, since }])),
  });
};

/** The counters at the last change, over a session that only observes; null where nothing was changed or the store may not be read. */
export const countersAtLastChange = async (session: Session): Promise<CounterReading | null> =>
  observeReading(session, await readServerIdentity(session));

/** A reading as a snapshot from which the later one can be told apart. Counters outlive a restart; where they do not, they were reset. */
export const asSnapshot = (reading: CounterReading, later: StatementsSnapshot): StatementsSnapshot => ({
  ...later,
  takenAt: reading.takenAt,
  resetAt: reading.resetAt,
  rows: later.rows.flatMap((row) => {
    const early = reading.rows.get(row.key);
    return early === undefined ? [] : [{ ...row, ...early }];
  }),
});
