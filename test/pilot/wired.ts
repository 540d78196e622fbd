import type { Settings } from "../../src/config/index.ts";
import { defaults } from "../../src/config/index.ts";
import type { Decision, Deployment } from "../../src/domain/index.ts";
import { reportBuild } from "../../src/pilot/circuits.ts";
import { haltsFor } from "../../src/pilot/halts.ts";
import { permitsFor } from "../../src/pilot/permits.ts";
import { resolveConnection } from "../../src/postgres/index.ts";
import type { PilotContext } from "../../src/pilot/index.ts";
import { type BuildOutcome, createIndex } from "../../src/rollout/index.ts";
import { type Clock, systemClock } from "../../src/runtime/index.ts";
import { on, openShop, type Shop } from "../rollout/fixtures/rollout.ts";
import type { Target } from "../rollout/fixtures/target.ts";

/** A shop whose builds go through the pilot's own safeguards, at a time that the test sets. */
export interface Wired extends Shop {
  readonly database: string;
  readonly clock: Clock;
  /** As a second process would have it. */
  readonly pilot: PilotContext;
  /** Seconds. */
  pass(seconds: number): void;
  setTime(at: Date): void;
  /** Tries to build; a fresh deployment unless one is given. */
  attempt(settings?: Partial<Settings>, deployment?: Deployment, approvedBy?: string | null): Promise<BuildOutcome>;
  /** Oldest first. */
  decisions(): Promise<readonly Decision[]>;
}

export const openWired = async (target: Target): Promise<Wired> => {
  const shop = await openShop(target);
  let offsetMs = 0;
  const clock: Clock = { ...systemClock, now: () => new Date(systemClock.now().getTime() + offsetMs) };
  const { store, build } = shop.context;
  const observe = resolveConnection(target.server.url(shop.database), {});
  const pilot: PilotContext = {
    observe,
    build: build.target,
    settings: defaults,
    clock,
    signal: new AbortController().signal,
    emit: () => undefined,
  };
  return {
    ...shop,
    clock,
    pilot,
    pass: (seconds) => {
      offsetMs += seconds * 1000;
    },
    setTime: (at) => {
      offsetMs = at.getTime() - systemClock.now().getTime();
    },
    attempt: async (changes = {}, given, approvedBy = "ann") => {
      const deployment = given ?? (await shop.approved(on("orders", "note")));
      const settings = { ...defaults, ...changes };
      const permits = permitsFor({
        build,
        observe,
        store,
        clock,
        actor: "test",
        approvedBy,
        buildLockHeld: true,
        settings,
      });
      const outcome = await createIndex({
        ...shop.context,
        clock,
        permits,
        halts: haltsFor({ observe, store, clock, settings }),
        deployment,
      });
      await reportBuild({ store, clock, settings }, deployment, outcome);
      return outcome;
    },
    decisions: async () => (await store.decisions.list()).toReversed(),
  };
};
