/**
 * Where a thing was observed. Everything IndexPilot stores is keyed by these values, because a schema called
 * `indexpilot` travels with dumps, snapshots and branches, and two databases of one server share nothing.
 */
export interface ServerIdentity {
  /** `pg_control_system().system_identifier`; the same for a primary, its replicas and every physical copy. */
  readonly systemIdentifier: string;
  /** The address the connection went to; loopback names and sockets are all written `localhost`. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly databaseOid: number;
  /** `server_version_num`, e.g. 150018. */
  readonly versionNum: number;
  readonly node: "primary" | "replica";
}

/** Who ran a statement, and how the unqualified names in it resolve. */
export interface ObservationScope {
  readonly role: string;
  /** Effective schemas in order, `$user` resolved, without `pg_catalog`. */
  readonly searchPath: readonly string[];
}

/** The major version as people say it: 150018 → 15. */
export const majorVersion = (versionNum: number): number => Math.floor(versionNum / 10_000);
