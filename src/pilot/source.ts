import type { Catalog, Workload } from "../domain/index.ts";
import { type OwnScans, readCatalog, type Session } from "../postgres/index.ts";
import { type EndPoints, readEndPoints } from "../shadow/index.ts";
import { planKey, type Snapshot } from "../snapshot/index.ts";
import { explainOnTarget, type TargetPlans } from "../whatif/index.ts";
import { withScansOf } from "./replicas.ts";
import { type TrackRecord, trackRecordSeen } from "./track-record.ts";
import { type BlindSpot, readBlindSpots } from "./visibility.ts";
import type { WorkloadSource } from "./workload.ts";

/** All that an analysis asks of a target. A live one is asked; a snapshot answers what the target answered when it was taken. */
export interface TargetSource {
  /** Null where there is no server to ask anything else. */
  readonly session: Session | null;
  /** The observing role, as whom plans are asked for. */
  readonly role: string;
  readonly readCatalog: () => Promise<Catalog>;
  readonly readWorkload: (catalog: Catalog) => Promise<Workload>;
  /** What the observing role may not see. */
  readonly readBlindSpots: () => Promise<readonly BlindSpot[]>;
  readonly readEndPoints: (catalog: Catalog) => Promise<readonly EndPoints[]>;
  readonly plans: TargetPlans;
  /** How our earlier predictions for this database have fared; null where there were none, or nobody may read them. */
  readonly readTrackRecord: () => Promise<TrackRecord | null>;
  /** How often asking has scanned each of the target's indexes so far, by OID. */
  readonly ownScans: OwnScans;
  /** Why nothing that rests on this source may be trusted; null where there is no such reason. */
  readonly doubt: string | null;
}

/**
 * @param session an `observe` session on the target
 * @param replicas the same on its replicas
 */
export const liveTarget = (
  session: Session,
  workloadOf: WorkloadSource,
  replicas: readonly Session[] = [],
): TargetSource => {
  const ownScans: OwnScans = new Map();
  return {
    session,
    role: session.target.user,
    readCatalog: async () => withScansOf(replicas, await readCatalog(session)),
    readWorkload: workloadOf,
    readBlindSpots: () => readBlindSpots(session),
    readEndPoints: (catalog) => readEndPoints(session, catalog, ownScans),
    plans: explainOnTarget(session, ownScans),
    readTrackRecord: () => trackRecordSeen(session),
    ownScans,
    doubt: null,
  };
};

/** The same without the probes that tell where columns end: they scan indexes, and would make those look used whose use is in question. */
export const unprobed = (source: TargetSource): TargetSource => ({
  ...source,
  readEndPoints: () => Promise.resolve([]),
});

/** A target that need not be there. */
export const snapshotTarget = (snapshot: Snapshot): TargetSource => ({
  session: null,
  role: snapshot.role,
  readCatalog: () => Promise.resolve(snapshot.catalog),
  readWorkload: () => Promise.resolve(snapshot.workload),
  readBlindSpots: () => Promise.resolve(snapshot.blindSpots),
  readEndPoints: () => Promise.resolve(snapshot.endPoints),
  plans: (questions) =>
    Promise.resolve(
      questions.map(
        (question) =>
          snapshot.plans.get(planKey(question)) ?? {
            kind: "refused",
            reason: snapshot.redacted
              ? "the snapshot was taken without values"
              : "it was not asked when the snapshot was taken",
          },
      ),
    ),
  readTrackRecord: () => Promise.resolve(null),
  ownScans: new Map(),
  doubt: snapshot.redacted
    ? "the snapshot holds no values: common values and histograms are missing, so that selectivities are the planner's defaults"
    : null,
});
