import type { Experiment, ExperimentGround, VoidStretch } from "../domain/index.ts";
import { quoteIdentifier, type Session, SqlState, sqlStateOf } from "../postgres/index.ts";
import type { Store } from "../store/index.ts";

/**
 * Reads what the arms of an experiment on this table stand on. Reads catalogues only. After a crash the checkpointer is started again and the postmaster is not; a
 * role that may not see the checkpointer has the postmaster's word.
 */
const readGround = async (session: Session, tableOid: number): Promise<ExperimentGround> => {
  const [row] = await session.query<{ started: Date; indexes: string[]; schema: string | null }>(
    `select coalesce((select max(backend_start) from pg_catalog.pg_stat_activity where backend_type = 'checkpointer'),
                     pg_postmaster_start_time()) as started,
            coalesce((select array_agg(i.indexrelid::text || ' ' || pg_get_indexdef(i.indexrelid) order by i.indexrelid)
                        from pg_catalog.pg_index i where i.indrelid = $1 and i.indisvalid), '{}') as indexes,
            (select n.nspname::text
               from pg_catalog.pg_extension e
               join pg_catalog.pg_namespace n on n.oid = e.extnamespace
               join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = 'pg_stat_statements_info'
              where e.extname = 'pg_stat_statements') as schema`,
    [tableOid],
  );
  if (row === undefined) throw new Error("a select without a table gave no row");
  return {
    serverStartedAt: row.started.toISOString(),
    statisticsResetAt: row.schema === null ? null : await readReset(session, row.schema),
    indexes: row.indexes,
  };
};

const readReset = async (session: Session, schema: string): Promise<string | null> => {
  try {
    const [row] = await session.query<{ at: Date }>(
      `select stats_reset as at from ${quoteIdentifier(schema)}.pg_stat_statements_info`,
    );
    return row?.at.toISOString() ?? null;
  } catch (error) {
    // Created, but not loaded by the server.
    if (sqlStateOf(error) === SqlState.objectNotInPrerequisiteState) return null;
    throw error;
  }
};

/** What happened between two grounds; null where they are one. */
const groundChange = (before: ExperimentGround, now: ExperimentGround): string | null => {
  if (before.serverStartedAt !== now.serverStartedAt) return "the server was restarted";
  if (before.statisticsResetAt !== now.statisticsResetAt) return "statistics were reset";
  if (JSON.stringify(before.indexes) !== JSON.stringify(now.indexes)) return "the table's indexes changed";
  return null;
};

/** Compares the ground with that of the last time; since then nothing counts if it has changed. @returns what changed */
export const keepGround = async (
  session: Session,
  store: Store,
  experiment: Pick<Experiment, "id" | "tableOid">,
  now: Date,
): Promise<VoidStretch | null> => {
  const last = await store.experiments.ground(experiment.id);
  const found = await readGround(session, experiment.tableOid);
  const reason = last === null ? null : groundChange(last.ground, found);
  const broken = reason === null || last === null ? null : { from: last.at, to: now, reason };
  await store.experiments.setGround(experiment.id, found, now, broken);
  return broken;
};
