import type { IndexSeries, IndexVersion } from "../domain/index.ts";
import { failure } from "../errors.ts";
import type { Session } from "../postgres/index.ts";
import { getIndexVersions, type RolloutContext, trackIndexVersions } from "../rollout/index.ts";
import { acquireBuildLock } from "../safeguards/index.ts";
import type { Store } from "../store/index.ts";
import { type PilotContext, readStore } from "./target.ts";

/** Looks at all indexes before and after the work, so that what others changed in the meantime, and what the work changed, are in the history. */
export const keepingVersions = async <T>(
  { build, store, clock }: RolloutContext,
  work: () => Promise<T>,
): Promise<T> => {
  await trackIndexVersions(build, store, clock);
  const result = await work();
  await trackIndexVersions(build, store, clock);
  return result;
};

/** The same for who only looks; where somebody is changing indexes, he does it when he has ended. */
export const noteVersions = async (
  session: Session,
  store: Store,
  { clock }: Pick<PilotContext, "clock">,
): Promise<void> => {
  const lock = await acquireBuildLock(session);
  if (lock === null) return;
  try {
    await trackIndexVersions(session, store, clock);
  } finally {
    await lock.release();
  }
};

/** Every index that was ever seen, with its latest version. Reads only. @throws IndexPilotError `store_missing` */
export const readSeries = async (context: PilotContext): Promise<readonly IndexSeries[]> => {
  const found = await readStore(context, (store) => store.versions.series());
  if (found === null) throw failure("store_missing", {});
  return found;
};

/** The versions of the indexes of this name. Reads only. @throws IndexPilotError `store_missing`, `usage` where none is known */
export const readVersions = async (
  context: PilotContext,
  name: string,
): Promise<readonly (IndexSeries & { readonly versions: readonly IndexVersion[] })[]> => {
  const found = await readStore(context, (store) => getIndexVersions(store, name));
  if (found === null) throw failure("store_missing", {});
  if (found.length === 0) {
    throw failure("usage", {
      problem: `no index named ${name} was seen at the last look`,
      hint: "`indexpilot versions` lists all; apply, verify, rollback and health --record look at the catalogue anew",
    });
  }
  return found;
};
