import type { Deployment, Objection } from "../domain/index.ts";
import { renderDropIndex, renderDropParentIndex } from "../postgres/index.ts";
import { brieflyAgain } from "./briefly.ts";
import { type Consent, lockBudgetOf, type RolloutContext } from "./context.ts";
import { type CatalogIndex, readIndex, readIndexByOid } from "./statements.ts";
import { type Ended, runWatched } from "./watched.ts";

/** How the removal of an index ended. */
export type Removal =
  | { readonly kind: "gone" }
  /** It is still there, perhaps invalid now; trying again later is safe. */
  | { readonly kind: "left"; readonly ended: Ended };

/** After making others wait, how long they get before we try again. */
const PAUSE_MS = 500;

/**
 * Drops the index of a deployment, or the one with the OID given, concurrently and watched. `prove` decides from the catalogue, anew before each attempt, whether what is
 * there is ours. Ends when it is gone, when patience runs out, or with an error. Idempotent.
 * Locks: SHARE UPDATE EXCLUSIVE on the table while waiting for the transactions that use it. Needs ownership of the table.
 * @throws Error when the index turns out not to be ours
 */
export const removeIndex = async (
  context: RolloutContext,
  consent: Consent,
  deployment: Deployment,
  options: {
    readonly prove: (index: CatalogIndex) => boolean;
    readonly oid?: number;
    readonly patienceMs?: number;
    readonly signal?: AbortSignal | undefined;
    readonly halts?: (() => Promise<Objection | null>) | undefined;
  },
): Promise<Removal> => {
  if (consent.deploymentId !== deployment.id) throw new Error("the consent is for another deployment");
  const { build, clock } = context;
  const started = clock.monotonicMs();
  for (;;) {
    const index = await (options.oid === undefined
      ? readIndex(build, deployment)
      : readIndexByOid(build, deployment, options.oid));
    if (index === null) return { kind: "gone" };
    if (!options.prove(index)) throw new Error(`index ${index.name} (OID ${String(index.oid)}) is not ours to drop`);
    const left = options.patienceMs === undefined ? undefined : options.patienceMs - (clock.monotonicMs() - started);
    const ended = index.isParent
      ? await dropParent(context, index)
      : await runWatched({
          sql: renderDropIndex(index),
          build,
          watch: context.watch,
          clock,
          lockBudgetMs: lockBudgetOf(context),
          signal: options.signal,
          halts: options.halts,
          ...(left === undefined ? {} : { patienceMs: left }),
        });
    if (ended.kind === "done") continue;
    const mayGoOn =
      left !== undefined && left > PAUSE_MS && ended.kind === "cancelled" && ended.because === "lock_budget";
    if (!mayGoOn) return { kind: "left", ended };
    await clock.sleep(PAUSE_MS);
  }
};

/** A partitioned index's parent cannot be dropped concurrently. */
const dropParent = async (context: RolloutContext, index: CatalogIndex): Promise<Ended> => {
  const { ended, isLocked } = await brieflyAgain(context, [renderDropParentIndex(index)]);
  if (ended.kind === "done") return ended;
  return isLocked
    ? { kind: "cancelled", because: "patience" }
    : { kind: "failed", sqlState: ended.sqlState, error: null };
};
