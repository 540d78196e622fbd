import { IndexPilotError } from "../errors.ts";
import type { Session } from "../postgres/index.ts";
import type { CounterReading, Store } from "../store/index.ts";
import type { Advice } from "./advice.ts";
import { recordAdvice, recordNothingNew } from "./advice-record.ts";
import { advise, type AdviseOptions } from "./advise.ts";
import { liveTarget } from "./source.ts";
import type { PilotContext } from "./target.ts";
import type { WorkloadSource } from "./workload.ts";

/** What an analysis that may be acted upon needs. */
export interface FreshAdviceOptions extends AdviseOptions {
  /** Given the counters at our last change, which are where the workload of the next advice begins. */
  readonly workloadOf: (since: CounterReading | null) => WorkloadSource;
}

/** Analyses the live target within what is left of the budget, and records what came of it. @returns the advice, or why there is nothing new to advise */
export const freshAdvice = async (
  context: PilotContext,
  store: Store,
  /** Observes the target. */
  session: Session,
  options: FreshAdviceOptions,
): Promise<Advice | { readonly reason: string }> => {
  const owned = await store.deployments.ownedBytes();
  if (owned >= options.budgetBytes) {
    context.emit({ kind: "note", text: "the indexes that are ours already fill the budget" });
  }
  const advice = await unlessQuiet(
    advise({
      ...options,
      // What is ours already counts against the same budget; at least one byte, so that every refusal is the budget's.
      budgetBytes: Math.max(1, options.budgetBytes - owned),
      source: liveTarget(session, options.workloadOf(await store.readings.latest())),
      clock: context.clock,
      signal: context.signal,
      emit: context.emit,
      onOwnScans: (scans) => store.scans.add(scans, context.clock.now()),
    }),
  );
  if ("reason" in advice) await recordNothingNew(store, advice.reason, context.clock.now());
  else await recordAdvice(store, advice, context.clock.now());
  return advice;
};

/** The advice, or why there is none: nothing has run since the last change. */
const unlessQuiet = async (advice: Promise<Advice>): Promise<Advice | { readonly reason: string }> => {
  try {
    return await advice;
  } catch (error) {
    if (error instanceof IndexPilotError && error.code === "nothing_since_change") return { reason: error.message };
    throw error;
  }
};
