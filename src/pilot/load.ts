import type { Settings } from "../config/index.ts";
import type { AdaptiveThreshold } from "../domain/index.ts";
import type { Session } from "../postgres/index.ts";
import type { Clock } from "../runtime/index.ts";
import {
  emptyThreshold,
  limitsOf,
  loadLimits,
  readServerLoad,
  type ServerLoad,
  updateAdaptiveThreshold,
} from "../safeguards/index.ts";
import type { Store } from "../store/index.ts";

/** How busy the server is now, and how busy it usually is. */
export interface MeasuredLoad extends ServerLoad {
  readonly threshold: AdaptiveThreshold;
}

/** Looks at the load over a session of the observing role, and remembers it. */
export const sampleLoad = async (
  session: Session,
  store: Store,
  { clock, settings }: { readonly clock: Clock; readonly settings: Settings },
): Promise<MeasuredLoad> => {
  const load = await readServerLoad(session);
  const threshold = updateAdaptiveThreshold(
    (await store.thresholds.get("load")) ?? emptyThreshold,
    load.activeSessions / settings.serverCores,
    clock.now(),
    loadLimits(limitsOf(settings)),
  );
  await store.thresholds.save("load", threshold);
  return { ...load, threshold };
};
