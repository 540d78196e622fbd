import type { Decision, Deployment, DeploymentEvent, StopSwitch } from "../domain/index.ts";
import type { Store } from "../store/index.ts";
import { type PilotContext, readStore } from "./target.ts";
import { type TrackRecord, trackRecordOf } from "./track-record.ts";

export interface Status {
  /** False where IndexPilot has never changed anything in this database. */
  readonly installed: boolean;
  readonly deployments: readonly Deployment[];
  /** Ids of the deployments whose index was built and is not in the catalogue any more: it is not ours, and not in `ownedBytes`. */
  readonly gone: ReadonlySet<string>;
  readonly ownedBytes: number;
  /** Predicted against measured, reverts and undecided, over all of them. */
  readonly trackRecord: TrackRecord;
  /** Set where somebody has stopped everything. */
  readonly stop: StopSwitch | null;
}

/** What is ours in this database, newest last. Reads only. */
export const readStatus = async (context: PilotContext): Promise<Status> =>
  (await readStore(context, async (store) => ({
    installed: true,
    ...(await withRecord(store)),
    gone: await store.deployments.gone(),
    ownedBytes: await store.deployments.ownedBytes(),
    stop: await store.stop.get(),
  }))) ?? {
    installed: false,
    deployments: [],
    trackRecord: trackRecordOf([]),
    gone: new Set(),
    ownedBytes: 0,
    stop: null,
  };

const withRecord = async (store: Store): Promise<Pick<Status, "deployments" | "trackRecord">> => {
  const deployments = await store.deployments.list();
  return { deployments, trackRecord: trackRecordOf(deployments) };
};

export interface History {
  readonly installed: boolean;
  readonly deployments: readonly Deployment[];
  readonly events: readonly DeploymentEvent[];
  /** Oldest first. */
  readonly decisions: readonly Decision[];
}

/** Every transition and every decision. Reads only. */
export const readHistory = async (context: PilotContext): Promise<History> =>
  (await readStore(context, async (store) => ({
    installed: true,
    deployments: await store.deployments.list(),
    events: await store.deployments.history(),
    decisions: (await store.decisions.list()).toReversed(),
  }))) ?? { installed: false, deployments: [], events: [], decisions: [] };
