import type { Settings } from "../config/index.ts";
import type { Deployment } from "../domain/index.ts";
import { IndexPilotError } from "../errors.ts";
import {
  AUTOPILOT,
  breakable,
  checkHealth,
  conductExperiments,
  mayAdvise,
  observeBlock,
  type PilotContext,
  propose,
  proposeFindings,
  readPending,
  refreshStatistics,
  rollOut,
  runPredictiveMaintenance,
  verify,
} from "../pilot/index.ts";
import type { Store } from "../store/index.ts";

/** What a duty works with. */
export interface DutyContext {
  readonly pilot: PilotContext;
  /** For looking and for remembering; a duty that acts opens its own. */
  readonly store: Store;
  /** Runs what takes a processor for itself after what other targets of this process have asked for. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
}

export interface DutyResult {
  /** What came of it, for the log; null where there was nothing to do. */
  readonly did: string | null;
  /** Where it is not due again after its interval. */
  readonly againInMs?: number;
}

/** Something that is done again and again for one target. */
export interface Duty {
  readonly name: string;
  everyMs(settings: Settings): number;
  run(context: DutyContext): Promise<DutyResult>;
}

/** Between two goes at open verdicts, so that other duties have their turn. */
const BREATH_MS = 500;
/** What only a person can change is asked about again so often. */
const UNCHANGED_MS = 3_600_000;
/** What was in the way of a leftover is given so long. */
const LEFTOVER_MS = 60_000;

const nothing: DutyResult = { did: null };
const counted = (count: number, what: string, several = `${what}s`): string =>
  `${String(count)} ${count === 1 ? what : several}`;

const observe: Duty = {
  name: "observe",
  everyMs: ({ observeEveryMs }) => observeEveryMs,
  run: async ({ pilot }) => {
    await observeBlock(breakable(pilot));
    return { did: "observed a block" };
  },
};

const advise: Duty = {
  name: "advise",
  everyMs: ({ adviseEveryMs }) => adviseEveryMs,
  run: async ({ pilot, inTurn }) => {
    if (!mayAdvise(pilot.settings)) return nothing;
    try {
      const { advice, proposals } = await inTurn(() => propose(breakable(pilot)));
      if (advice === null) return { did: "nothing has run since the last change" };
      const approved = proposals.filter(({ state }) => state === "approved").length;
      const waiting = proposals.length - approved;
      return {
        did: `advised ${counted(advice.configuration.create.length, "index", "indexes")}: ${String(approved)} to be built, ${String(waiting)} to be approved`,
      };
    } catch (error) {
      if (error instanceof IndexPilotError && error.code === "workload_empty") return { did: error.message };
      throw error;
    }
  },
};

/** Builds what is approved; until the last builds have their verdicts, or had their time for it, no further ones. */
const rollOutDuty = (): Duty => {
  const notBefore = new Map<string, number>();
  let builtAt = Number.NEGATIVE_INFINITY;
  let leftoversAt = Number.NEGATIVE_INFINITY;
  return {
    name: "roll out",
    everyMs: ({ rollOutEveryMs }) => rollOutEveryMs,
    run: async ({ pilot, store, inTurn }) => {
      const pending = await readPending(store);
      const now = pilot.clock.now().getTime();
      const stopped = pending.stop !== null;
      const isDue = ({ id }: Deployment): boolean => (notBefore.get(id) ?? 0) <= now;
      const leftovers = pending.leftovers > 0 && !stopped && now >= leftoversAt;
      const proving = pending.verifying.length > 0 && now < builtAt + pilot.settings.waitMs;
      const build = !stopped && !proving && pending.approved.some(isDue);
      if (!leftovers && !build) return nothing;
      const { reconciled, builds, drops, canaries } = await rollOut(pilot, (deployment) => build && isDue(deployment));
      const ended = pilot.clock.now().getTime();
      for (const { deployment, outcome } of [...builds, ...drops]) {
        if (outcome.kind === "built") builtAt = ended;
        else if (outcome.kind === "refused" && outcome.code !== "stopped") {
          notBefore.set(deployment.id, outcome.retryAt?.getTime() ?? ended + UNCHANGED_MS);
        } else if (outcome.kind === "deferred" && outcome.retryAt !== null) {
          notBefore.set(deployment.id, outcome.retryAt.getTime());
        }
      }
      if (reconciled.some(({ result }) => result === "postponed" || result === "still_running")) {
        leftoversAt = ended + LEFTOVER_MS;
      }
      const rebuilt = [...reconciled, ...builds].some(
        ({ deployment: { kind, state } }) => kind === "reindex" && state === "done",
      );
      // How large it is when it is fresh is what its bloat will be told by.
      if (rebuilt && pilot.settings.inspection === "on") {
        await inTurn(() => checkHealth(breakable(pilot), { record: true, readBytes: pilot.settings.healthReadBytes }));
      }
      const told = [
        ...reconciled.map(({ deployment, result }) => `${deployment.indexName} ${result.replaceAll("_", " ")}`),
        ...[...builds, ...drops].map(({ deployment, outcome }) => `${deployment.indexName} ${outcome.kind}`),
        ...canaries.map(({ number, table }) => `canary ${String(number)} on ${table.schema}.${table.name} laid down`),
      ];
      return { did: told.length === 0 ? null : told.join(", ") };
    },
  };
};

/** Gathers evidence for open verdicts, for a while; then the others have their turn. */
const verifyDuty = (): Duty => {
  let notedMs: number | null = null;
  /** What waited for its verdict at the last look, and until when that can wait; whatever joins it cannot. */
  let rest = { waiting: "", untilMs: 0 };
  return {
    name: "verify",
    everyMs: ({ rollOutEveryMs }) => rollOutEveryMs,
    run: async ({ pilot, store }) => {
      const pending = await readPending(store);
      if (pending.verifying.length === 0 || pending.stop !== null) return nothing;
      const { clock, settings } = pilot;
      const begun = clock.monotonicMs();
      const waiting = pending.verifying.join(" ");
      if (waiting === rest.waiting && clock.now().getTime() < rest.untilMs) return nothing;
      notedMs ??= begun;
      const noteUndecided = begun - notedMs >= settings.waitMs;
      if (noteUndecided) notedMs = begun;
      const { verdicts, pauseMs } = await verify(pilot, {
        actor: { name: AUTOPILOT, consents: false },
        blockMs: settings.blockMs,
        waitMs: settings.verifyEveryMs,
        noteUndecided,
      });
      const decided = verdicts.filter(({ result }) => result !== "pending");
      // Where nothing could be observed, nothing will be in half a second.
      const restMs = clock.monotonicMs() - begun < settings.blockMs ? UNCHANGED_MS : pauseMs;
      rest = { waiting, untilMs: clock.now().getTime() + restMs };
      return {
        did:
          decided.length === 0
            ? null
            : decided.map(({ deployment, result }) => `${deployment.indexName} ${result}`).join(", "),
        ...(restMs === 0 ? { againInMs: BREATH_MS } : {}),
      };
    },
  };
};

/** Takes open experiments further, for a while; then the others have their turn. */
const experiment: Duty = {
  name: "experiment",
  everyMs: ({ rollOutEveryMs }) => rollOutEveryMs,
  run: async ({ pilot, store }) => {
    const pending = await readPending(store);
    if (pending.experiments === 0 || pending.stop !== null) return nothing;
    const actor = { name: AUTOPILOT, consents: false };
    const conducted = await conductExperiments(pilot, { actor, waitMs: pilot.settings.verifyEveryMs });
    const told = conducted.filter((one) => one.experiment.endedAt !== null || one.failed === true);
    return {
      did:
        told.length === 0
          ? null
          : told
              .map((one) => `experiment ${String(one.experiment.number)} ${one.experiment.state}: ${one.reason}`)
              .join(", "),
      againInMs: BREATH_MS,
    };
  },
};

const expire: Duty = {
  name: "expire",
  everyMs: ({ expireEveryMs }) => expireEveryMs,
  run: async ({ pilot, store }) => {
    const removed = Object.entries(await store.retention.expire(pilot.clock.now())).filter(([, count]) => count > 0);
    return {
      did: removed.length === 0 ? null : removed.map(([kind, count]) => `${kind} ${String(count)}`).join(", "),
    };
  },
};

/** Analyses what is stale, looks at all indexes, and proposes the rebuilds of a run; rolling out carries them out. */
const inspect: Duty = {
  name: "inspect",
  everyMs: ({ inspectEveryMs }) => inspectEveryMs,
  run: async ({ pilot, inTurn }) => {
    if (pilot.settings.inspection === "off") return nothing;
    const context = breakable(pilot);
    // First, for fresh statistics are what tells bloat.
    const refreshed = await refreshStatistics(context, { name: AUTOPILOT, consents: false });
    const { report, proposals, declined, others } = await inTurn(async () => {
      const kept = await runPredictiveMaintenance(context);
      const found = await proposeFindings(context, kept.report, { actor: AUTOPILOT, store: true });
      return { ...kept, others: found.proposals };
    });
    const due = report.indexes.filter(({ reindex }) => reindex?.kind === "now").length;
    const approved = proposals.filter(({ state }) => state === "approved").length;
    const waiting = proposals.length - approved;
    const returning = declined.filter(({ code }) => code === "returns_too_soon").length;
    const analysed = refreshed.filter(({ done }) => done).length;
    const again = refreshed.flatMap(({ code, retryAt }) =>
      code === "maintenance_window" && retryAt !== null ? [retryAt.getTime()] : [],
    );
    const everyMs = pilot.settings.inspectEveryMs;
    return {
      // What waits for the window to be analysed is looked at again then.
      ...(again.length === 0
        ? {}
        : { againInMs: Math.min(everyMs, Math.max(0, Math.min(...again) - pilot.clock.now().getTime())) }),
      did: `looked at all indexes (${String(report.indexes.length)}), ${String(due)} of them due to be rebuilt: ${String(approved)} will be, ${String(waiting)} to be approved${returning === 0 ? "" : `, ${String(returning)} came back within days of the last rebuild`}; found ${counted(others.length, "other change")} to propose${analysed === 0 ? "" : `; analysed ${counted(analysed, "table")}`}`,
    };
  },
};

/**
 * The duties of one target, in the order in which those that are due at the same time are done. A new one needs a function of the pilot, a knob for its interval, and a place here.
 * What a duty remembers between its turns does not outlive the leadership.
 */
export const dutiesOf = (): readonly Duty[] => [
  rollOutDuty(),
  verifyDuty(),
  experiment,
  observe,
  advise,
  inspect,
  expire,
];
