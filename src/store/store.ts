import { failure } from "../errors.ts";
import type { ServerIdentity } from "../domain/index.ts";
import type { Session } from "../postgres/index.ts";
import { type CircuitRepository, circuitRepository } from "./circuits.ts";
import { databaseOver } from "./database.ts";
import { type DecisionRepository, decisionRepository } from "./decisions.ts";
import { type DeploymentRepository, deploymentRepository } from "./deployments.ts";
import { type DutyRepository, dutyRepository } from "./duties.ts";
import { type ExperimentRepository, experimentRepository } from "./experiments.ts";
import {
  copied,
  describeInstallation,
  describeServer,
  insertInstallation,
  isInside,
  judgeLease,
  moveInstallation,
  readInstallations,
} from "./installation.ts";
import { migrate, underLock } from "./migrate.ts";
import { type NoticeRepository, noticeRepository } from "./notices.ts";
import { type ObservationRepository, observationRepository } from "./observations.ts";
import { type ReadingRepository, readingRepository } from "./readings.ts";
import { type Retention, retention } from "./retention.ts";
import { type SampleRepository, sampleRepository } from "./samples.ts";
import { type ScanLedger, scanLedger } from "./scans.ts";
import { type StopRepository, stopRepository } from "./stop.ts";
import { type VersionRepository, versionRepository } from "./versions.ts";
import { type ThresholdRepository, thresholdRepository } from "./thresholds.ts";

interface StoreOptions {
  /** Install or upgrade the schema where needed. False: change nothing. */
  readonly create: boolean;
  /** The database that is steered; the installation is bound to it. Not necessarily the one the session is connected to. */
  readonly server: ServerIdentity;
  /** A person said that the schema, though installed for another database, belongs to this one from now on. Recorded as a decision. */
  readonly acceptInstallation?: boolean;
  /** Time of the records this makes. */
  readonly now: Date;
}

/** What IndexPilot remembers about one database. */
export interface Store {
  readonly deployments: DeploymentRepository;
  readonly decisions: DecisionRepository;
  readonly observations: ObservationRepository;
  readonly experiments: ExperimentRepository;
  readonly readings: ReadingRepository;
  readonly scans: ScanLedger;
  readonly circuits: CircuitRepository;
  readonly thresholds: ThresholdRepository;
  readonly stop: StopRepository;
  readonly versions: VersionRepository;
  readonly duties: DutyRepository;
  readonly notices: NoticeRepository;
  readonly samples: SampleRepository;
  readonly retention: Retention;
}

/**
 * Opens the store over a session of purpose `store`, which then belongs to it alone (close the session to close the store).
 * @returns null when nothing is installed and `create` is false
 * @throws IndexPilotError `privilege_missing`, `store_newer`, `store_changed`, `store_older`, `installation_copied`, `read_only_server`, `read_only_role`
 */
export const openStore = async (session: Session, options: StoreOptions): Promise<Store | null> => {
  if (options.create) {
    const [row] = await session.query<{ replica: boolean; readOnly: boolean; role: string; database: string }>(
      `select pg_catalog.pg_is_in_recovery() as replica, current_setting('default_transaction_read_only')::boolean as "readOnly",
              current_user::text as role, current_database()::text as database`,
    );
    if (row?.replica === true) throw failure("read_only_server", { what: "writing to the store" });
    if (row?.readOnly === true) throw failure("read_only_role", row);
  }
  if (!(await migrate(session, { create: options.create }))) return null;
  const db = databaseOver(session);
  const { server } = options;
  const inside = await isInside(session, server);
  let lease = judgeLease(await readInstallations(db), server, inside);
  if (lease.kind !== "ours") {
    if (!options.create) {
      if (lease.kind === "new") return null;
      throw copied(lease.recorded, server);
    }
    lease = await underLock(session, async () => {
      const again = judgeLease(await readInstallations(db), server, inside);
      if (again.kind === "ours") return again;
      if (again.kind === "new") return { kind: "ours", id: await insertInstallation(db, server) };
      if (options.acceptInstallation !== true) throw copied(again.recorded, server);
      const { recorded } = again;
      await moveInstallation(db, recorded.id, server);
      await decisionRepository(db, recorded.id).record({
        at: options.now,
        subject: "accept installation",
        deploymentId: null,
        rule: "store.installation_lease",
        outcome: "accepted",
        code: "installation_moved",
        reason: "a person said that the schema belongs to this database from now on",
        inputs: { recorded: describeInstallation(recorded), found: describeServer(server) },
      });
      return { kind: "ours", id: recorded.id };
    });
  }
  if (lease.kind !== "ours") throw new Error("the lease was not settled");
  return {
    deployments: deploymentRepository(db, lease.id),
    decisions: decisionRepository(db, lease.id),
    observations: observationRepository(db, lease.id, server.node),
    experiments: experimentRepository(db, lease.id),
    readings: readingRepository(db, lease.id),
    scans: scanLedger(db, lease.id),
    circuits: circuitRepository(db, lease.id),
    thresholds: thresholdRepository(db, lease.id),
    stop: stopRepository(db, lease.id),
    versions: versionRepository(db, lease.id),
    duties: dutyRepository(db, lease.id),
    notices: noticeRepository(db, lease.id),
    samples: sampleRepository(db, lease.id),
    retention: retention(db, lease.id),
  };
};
