import { ExitCode, failure, IndexPilotError } from "../errors.ts";
import { type PilotContext, readPending, storeOver } from "../pilot/index.ts";
import { openSession, sqlStateOf } from "../postgres/index.ts";
import type { Random } from "../runtime/index.ts";
import type { DutyRecord, Store } from "../store/index.ts";
import { type Duty, type DutyContext, dutiesOf } from "./duties.ts";
import { type Candidacy, openCandidacy } from "./leadership.ts";
import type { Log } from "./log.ts";
import { tell } from "./notices.ts";
import { firstDue, nextDue, reconnectMs } from "./schedule.ts";
import type { Standing } from "./standing.ts";
import type { Webhook } from "./webhook.ts";

/** What steering one target needs. */
export interface Steering {
  /** `signal`: end at once; `drain`: begin nothing more. */
  readonly pilot: PilotContext & { readonly drain: AbortSignal };
  readonly standing: Standing;
  readonly random: Random;
  readonly log: Log;
  readonly webhook: Webhook | null;
  readonly inTurn: DutyContext["inTurn"];
  /** What only a person can mend ends it, as long as it has never led: somebody is at the terminal. */
  readonly strict: boolean;
}

/** How often the leader makes sure that it leads, and a stand-by asks whether it may. */
const BEAT_MS = 1_000;
/** An answer that takes longer is none. */
const ANSWER_MS = 10_000;
/** Another IndexPilot is at work: ask again. */
const LOCKED_OUT_MS = 10_000;

/** What went wrong, where it is the world's fault; null where it is ours. */
const operational = (error: unknown): Standing["error"] => {
  if (error instanceof IndexPilotError) {
    const { code, message, remedy } = error;
    return { code, message, remedy };
  }
  const state = sqlStateOf(error);
  return state === null ? null : { code: state, message: (error as Error).message.split("\n")[0] ?? "", remedy: null };
};

const isLostConnection = (error: unknown): boolean =>
  error instanceof IndexPilotError && error.exitCode === ExitCode.connection && error.retryable;

/** Leads or waits to lead until the drain, over as many connections as that takes. @throws whatever is a fault of the program */
export const steer = async (steering: Steering): Promise<void> => {
  const { pilot, standing, random, log } = steering;
  const { clock, drain } = pilot;
  let failures = 0;
  let everLed = false;
  while (!drain.aborted) {
    try {
      become(steering, "connecting");
      const candidacy = await openCandidacy(pilot.build);
      try {
        await electedOver(steering, candidacy);
        if (drain.aborted) break;
        await lead(steering, candidacy, () => {
          failures = 0;
          everLed = true;
        });
      } finally {
        await candidacy.close();
      }
    } catch (error) {
      if (drain.aborted) break;
      const problem = operational(error);
      if (problem === null) throw error;
      if (steering.strict && !everLed && error instanceof IndexPilotError && !error.retryable) throw error;
      failures += 1;
      standing.error = problem;
      become(steering, "resting");
      const waitMs = reconnectMs(failures, random);
      log({
        level: isLostConnection(error) ? "warn" : "error",
        event: "rest",
        text: `${problem.message}; again in ${(waitMs / 1000).toFixed(1)} s`,
        target: standing.target,
        code: problem.code,
        remedy: problem.remedy,
      });
      await clock.sleep(waitMs, drain).catch(() => undefined);
    }
  }
  become(steering, "ended");
};

const become = ({ standing, pilot, log }: Steering, role: Standing["role"]): void => {
  standing.beatMs = pilot.clock.monotonicMs();
  if (standing.role === role) return;
  standing.role = role;
  standing.since = pilot.clock.now();
  log({ level: role === "connecting" ? "debug" : "info", event: "role", text: role, target: standing.target });
};

/** Waits until this process leads, or the drain. */
const electedOver = async (steering: Steering, candidacy: Candidacy): Promise<void> => {
  const { pilot, standing, random } = steering;
  const { clock, drain } = pilot;
  for (;;) {
    const answer = await inTime(pilot, candidacy.ask());
    standing.error = null;
    if (answer === "leads" || drain.aborted) return;
    become(steering, "standby");
    await clock.sleep(BEAT_MS * (0.5 + random()), drain).catch(() => undefined);
    if (drain.aborted) return;
  }
};

/** An answer, or the loss of the connection that does not give it. */
const inTime = async <T>({ clock }: PilotContext, answer: Promise<T>): Promise<T> => {
  const given = new AbortController();
  const late = clock.sleep(ANSWER_MS, given.signal).then(
    () => {
      throw failure("connection_lost", { cause: "the server does not answer" });
    },
    () => answer,
  );
  try {
    return await Promise.race([answer, late]);
  } finally {
    given.abort(failure("interrupted", {}));
    answer.catch(() => undefined);
  }
};

/** Does the duties for as long as the session lives. */
const lead = async (steering: Steering, candidacy: Candidacy, onLead: () => void): Promise<void> => {
  const { pilot, standing } = steering;
  const { clock } = pilot;
  become(steering, "leader");
  const lost = new AbortController();
  const ended = new AbortController();
  const session = await openSession(pilot.build, "store");
  const guarded = async (work: Promise<void>): Promise<void> => {
    try {
      await work;
    } catch (error) {
      lost.abort(error);
    }
  };
  try {
    const store = await storeOver(session, pilot);
    onLead();
    const beats = guarded(
      (async () => {
        while (!ended.signal.aborted) {
          if (!(await inTime(pilot, candidacy.stillLeads()))) {
            throw failure("connection_lost", { cause: "the server became a replica" });
          }
          standing.beatMs = clock.monotonicMs();
          await clock.sleep(BEAT_MS, ended.signal).catch(() => undefined);
        }
      })(),
    );
    const { random, log, webhook } = steering;
    const telling = guarded(
      tell({ target: standing.target, store, clock, random, log, webhook, signal: ended.signal }),
    );
    try {
      await perform(steering, store, lost.signal);
    } finally {
      ended.abort();
      await Promise.all([beats, telling]);
    }
    lost.signal.throwIfAborted();
  } finally {
    await session.close();
  }
};

/** One duty after the other, each when it is due, until the drain. @throws the reason of `lost` */
const perform = async (steering: Steering, store: Store, lost: AbortSignal): Promise<void> => {
  const { pilot, standing, random } = steering;
  const { clock, settings, drain } = pilot;
  const duties = dutiesOf();
  const known = new Map((await store.duties.list()).map((record) => [record.name, record]));
  const records = new Map<Duty, DutyRecord>();
  standing.duties.clear();
  for (const duty of duties) {
    const { name } = duty;
    const earlier = known.get(name);
    const dueAt = firstDue(earlier, clock.now(), duty.everyMs(settings), random);
    const failures = earlier?.failures ?? 0;
    records.set(duty, { name, dueAt, endedAt: earlier?.endedAt ?? null, outcome: earlier?.outcome ?? null, failures });
  }
  const show = (): void => {
    for (const { name, ...record } of records.values()) standing.duties.set(name, record);
  };
  const wake = AbortSignal.any([drain, lost]);
  for (;;) {
    show();
    const [next] = [...records].toSorted(([, a], [, b]) => a.dueAt.getTime() - b.dueAt.getTime());
    if (next === undefined) throw new Error("a target without duties");
    const [duty, record] = next;
    await clock.sleepUntil(record.dueAt, wake).catch(() => undefined);
    lost.throwIfAborted();
    if (drain.aborted) return;
    const done = await attend(steering, store, duty, record, lost);
    lost.throwIfAborted();
    if (done === null) return;
    records.set(duty, done);
    // A look that found nothing to do need not be remembered.
    if (duty.everyMs(settings) >= 60_000 || done.outcome !== "nothing") await store.duties.save(done);
    await look(steering, store);
  }
};

/** What the store tells of the target, for those who ask. */
const look = async ({ standing }: Steering, store: Store): Promise<void> => {
  const pending = await readPending(store);
  standing.stopped = pending.stop !== null;
  standing.waitingForApproval = pending.proposed;
  standing.openVerdicts = pending.verifying.length;
  standing.untold = await store.notices.waiting();
};

/** Does one duty. @returns when it is due again, and how it went; null where the drain broke it off. @throws what ends the leadership */
const attend = async (
  steering: Steering,
  store: Store,
  duty: Duty,
  before: DutyRecord,
  lost: AbortSignal,
): Promise<DutyRecord | null> => {
  const { pilot, standing, random, log, inTurn } = steering;
  const { clock, settings, drain } = pilot;
  const { target } = standing;
  const { name } = duty;
  const signal = AbortSignal.any([pilot.signal, lost]);
  const emit: PilotContext["emit"] = (event) => {
    standing.beatMs = clock.monotonicMs();
    if (event.kind !== "progress") log({ level: "debug", event: event.kind, text: event.text, target, duty: name });
  };
  standing.duty = name;
  try {
    const { did, againInMs } = await duty.run({ pilot: { ...pilot, signal, emit }, store, inTurn });
    if (did !== null) log({ level: "info", event: "duty", text: did, target, duty: name });
    const now = clock.now();
    return {
      name,
      dueAt:
        againInMs === undefined ? nextDue(now, duty.everyMs(settings), 0, random) : new Date(now.getTime() + againInMs),
      endedAt: now,
      outcome: did === null ? "nothing" : "done",
      failures: 0,
    };
  } catch (error) {
    if (lost.aborted || isLostConnection(error)) throw error;
    if (drain.aborted && operational(error) !== null) return null;
    const problem = operational(error);
    if (problem === null) throw error;
    const now = clock.now();
    const lockedOut = problem.code === "refused";
    const failures = lockedOut ? before.failures : before.failures + 1;
    const dueAt = lockedOut
      ? new Date(now.getTime() + LOCKED_OUT_MS)
      : nextDue(now, duty.everyMs(settings), failures, random);
    log({
      level: lockedOut ? "info" : "error",
      event: "duty",
      text: `${problem.message}; again at ${dueAt.toISOString()}`,
      target,
      duty: name,
      code: problem.code,
      remedy: problem.remedy,
    });
    return { name, dueAt, endedAt: now, outcome: problem.code, failures };
  } finally {
    standing.duty = null;
  }
};
