import type { Deployment, StopSwitch } from "../domain/index.ts";
import { openSession, type Session } from "../postgres/index.ts";
import { cancelRecorded, isBuilding } from "../rollout/index.ts";
import type { Store } from "../store/index.ts";
import { type PilotContext, withSession, withWritableStore } from "./target.ts";

/** How long processes that are at work get to give way by themselves. */
const GRACE_MS = 3_000;
const LOOK_MS = 200;

export interface Stopped {
  readonly stop: StopSwitch;
  /** Builds that outlived their process and were cancelled here; those of living processes end by themselves. */
  readonly cancelled: readonly Deployment[];
}

/** Without the build lock: it belongs to whoever is to be stopped. */
const withStore = <T>(context: PilotContext, work: (store: Store, session: Session) => Promise<T>): Promise<T> =>
  withSession(openSession(context.build, "watch"), (session) =>
    withWritableStore(context, (store) => work(store, session)),
  );

/**
 * Stops everything that changes the database: what is under way gives way within a look, nothing new begins. Stays so until {@link resume}.
 * @throws IndexPilotError as `openSession` and `openStore` do
 */
export const stop = (
  context: PilotContext,
  { actor, reason }: { readonly actor: string; readonly reason: string },
): Promise<Stopped> =>
  withStore(context, async (store, session) => {
    const { clock } = context;
    const now = clock.now();
    await store.stop.set({ stoppedAt: now, stoppedBy: actor, reason });
    const set = await store.stop.get();
    await store.decisions.record({
      at: now,
      subject: "stop",
      deploymentId: null,
      rule: "safeguards.stopped",
      outcome: "stopped",
      code: "stopped",
      reason: `stopped by ${actor}${reason === "" ? "" : `: ${reason}`}`,
      inputs: {},
    });
    const building = async (): Promise<readonly Deployment[]> => {
      const running: Deployment[] = [];
      for (const deployment of await store.deployments.list({ states: ["building"] })) {
        if (await isBuilding(session, deployment)) running.push(deployment);
      }
      return running;
    };
    let left = await building();
    const deadline = clock.monotonicMs() + GRACE_MS;
    while (left.length > 0 && clock.monotonicMs() < deadline) {
      await clock.sleep(LOOK_MS, context.signal);
      left = await building();
    }
    for (const deployment of left) await cancelRecorded(session, deployment);
    return { stop: set ?? { stoppedAt: now, stoppedBy: actor, reason }, cancelled: left };
  });

/** Lets work begin again. @returns what had been stopped; null where nothing was */
export const resume = (context: PilotContext, { actor }: { readonly actor: string }): Promise<StopSwitch | null> =>
  withStore(context, async (store) => {
    const cleared = await store.stop.clear();
    if (cleared !== null) {
      await store.decisions.record({
        at: context.clock.now(),
        subject: "resume",
        deploymentId: null,
        rule: "safeguards.stopped",
        outcome: "resumed",
        code: "resumed",
        reason: `resumed by ${actor}; ${cleared.stoppedBy} had stopped everything at ${cleared.stoppedAt.toISOString()}`,
        inputs: { stop: cleared },
      });
    }
    return cleared;
  });
