import type { Catalog } from "../domain/index.ts";
import { ExitCode, failure, IndexPilotError } from "../errors.ts";
import { type ConnectionTarget, openSession, readServerIdentity, type Session } from "../postgres/index.ts";

/** `host:port`, for people. */
export const nodeName = ({ target }: Pick<Session, "target">): string => `${target.host}:${String(target.port)}`;

/**
 * Runs with an observing session on each replica and closes them, whatever happens.
 * @throws IndexPilotError `replica_unsuitable` where one is no replica of the primary's database, `replica_unreachable`; as `openSession` does
 */
export const withReplicas = async <T>(
  targets: readonly ConnectionTarget[],
  primary: Session,
  work: (replicas: readonly Session[]) => Promise<T>,
): Promise<T> => {
  const opened: Session[] = [];
  try {
    for (const target of targets) {
      const session = await openReplica(target);
      opened.push(session);
      await requireReplica(session, primary, opened.slice(0, -1));
    }
    return await work(opened);
  } finally {
    await Promise.all(opened.map((session) => session.close()));
  }
};

/** A replica that is away is not the server that is away. */
const openReplica = async (target: ConnectionTarget): Promise<Session> => {
  try {
    return await openSession(target, "observe");
  } catch (error) {
    if (!(error instanceof IndexPilotError) || error.exitCode !== ExitCode.connection || !error.retryable) throw error;
    throw failure("replica_unreachable", { node: nodeName({ target }), cause: error.message });
  }
};

const requireReplica = async (session: Session, primary: Session, others: readonly Session[]): Promise<void> => {
  const [own, its] = [await readServerIdentity(session), await readServerIdentity(primary)];
  const problem =
    own.systemIdentifier !== its.systemIdentifier
      ? `belongs to another server (system identifier ${own.systemIdentifier}, the primary's is ${its.systemIdentifier})`
      : own.databaseOid !== its.databaseOid
        ? `leads to database ${own.database}, and --url to ${its.database}`
        : own.node !== "replica"
          ? "is a primary"
          : others.some((other) => nodeName(other) === nodeName(session))
            ? "was given twice"
            : null;
  if (problem !== null) throw failure("replica_unsuitable", { node: nodeName(session), problem });
};

/** How often each index was scanned on one node, by OID, which replicas share with their primary. Open to everybody; locks nothing. */
export const readScans = async (session: Session): Promise<ReadonlyMap<number, number>> => {
  const rows = await session.query<{ oid: number; scans: string }>(
    "select indexrelid as oid, idx_scan::text as scans from pg_stat_user_indexes where idx_scan > 0",
  );
  return new Map(rows.map(({ oid, scans }) => [oid, Number(scans)]));
};

/** The primary's catalogue in which scans on replicas count like its own: an index that only they use is used. */
export const withScansOf = async (replicas: readonly Session[], catalog: Catalog): Promise<Catalog> => {
  if (replicas.length === 0) return catalog;
  const scans = await Promise.all(replicas.map(readScans));
  const also = (oid: number): number => scans.reduce((sum, one) => sum + (one.get(oid) ?? 0), 0);
  return {
    ...catalog,
    tables: catalog.tables.map((table) => ({
      ...table,
      indexes: table.indexes.map((index) => ({ ...index, scans: index.scans + also(index.oid) })),
    })),
  };
};
