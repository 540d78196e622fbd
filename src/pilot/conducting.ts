import type { Experiment } from "../domain/index.ts";
import type { Session } from "../postgres/index.ts";
import { UNATTENDED_MS } from "./follow.ts";
import type { Rollout } from "./rollout-context.ts";
import type { PilotContext } from "./target.ts";

/** What became of an experiment while it was conducted. */
export interface Conducted {
  readonly experiment: Experiment;
  /** What it waits for, or how it ended. */
  readonly reason: string;
  /** Something went wrong with it, as the reason says; it is tried again. */
  readonly failed?: true;
}

/** What the safeguards or the server refuse is asked again so soon, where they do not say when. */
export const AGAIN_MS = 30_000;

/** Whatever the steps of all experiments share, and what is remembered between two looks. */
export interface Conducting {
  readonly context: PilotContext;
  readonly rollout: Rollout;
  /** Observes the target. */
  readonly session: Session;
  /** By id of a deployment: not tried again before, epoch milliseconds. */
  readonly notBefore: Map<string, number>;
  /** The step of each experiment that was told last, by its id. */
  readonly told: Map<string, string>;
  /** By id of an experiment: when its evidence was judged last, by the monotonic clock, and what that said. */
  readonly judged: Map<string, { readonly atMs: number; readonly reason: string }>;
  /** By id of an experiment: what went wrong with it at the last look, and when it is tried again, epoch milliseconds. */
  readonly failed: Map<string, { readonly error: unknown; readonly againMs: number }>;
}

/** What takes long is looked at meanwhile. */
export const attended = async <T>({ rollout }: Conducting, { id }: Experiment, work: Promise<T>): Promise<T> => {
  const { store, clock } = rollout;
  const done = new AbortController();
  const looking = (async (): Promise<void> => {
    while (!done.signal.aborted) {
      await store.experiments.attend(id);
      await clock.sleep(UNATTENDED_MS / 10, done.signal).catch(() => undefined);
    }
  })().catch(() => undefined);
  try {
    return await work;
  } finally {
    done.abort();
    await looking;
  }
};
