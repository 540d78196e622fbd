import type {
  Block,
  Deployment,
  EvidencePlan,
  Experiment,
  ExperimentVerdict,
  StatementVerdict,
  Verdict,
  WriteVerdict,
} from "../domain/index.ts";
import { shareOf } from "../domain/index.ts";
import type { Session } from "../postgres/index.ts";
import type { Store, StoredStatement } from "../store/index.ts";
import {
  type ExperimentStanding,
  judge,
  type PageEvidence,
  type RecordedEvidence,
  type TenantStanding,
} from "../verification/index.ts";
import { endOf, judgeRecorded } from "./experiment-results.ts";
import type { PilotContext } from "./target.ts";

/** All that the next step of an experiment is decided by. */
export const standingOf = async (
  context: PilotContext,
  /** Observes the target. */
  session: Session,
  store: Store,
  experiment: Experiment,
): Promise<ExperimentStanding> => {
  const { settings, clock } = context;
  const now = clock.now();
  const { evidence, pages, verdict } = await judgeRecorded(store, experiment, now);
  const writes = await judgeWrites(context, store, experiment);
  return {
    experiment,
    verdict: { ...verdict, writes: writes?.verdict ?? null },
    atStage: atStageOf(experiment, evidence),
    scans: await scansOf(session, store, experiment),
    full: judgeFull(experiment, evidence, verdict),
    writes: writes?.verdict ?? null,
    savedMs: savedMs(evidence, pages, verdict),
    paidMs: writes?.paidMs ?? 0,
    minimumWindows: settings.minimumBlocks,
    minimumCalls: settings.canaryCalls,
    allowHarm: settings.canaryHarm === "yes",
    endsAt: endOf(experiment, evidence),
    now,
  };
};

/** The same of a canary that some tenants have. */
export const tenantStandingOf = async (
  { settings, clock }: PilotContext,
  session: Session,
  store: Store,
  experiment: Experiment,
): Promise<TenantStanding> => {
  const { evidence, deciding, alpha, margin } = experiment;
  if (evidence === null || deciding === null) {
    throw new Error("a canary of tenants has a baseline, and statements that decide");
  }
  const concerned = (await store.observations.readStatements(deciding)).map(({ id }) => id);
  const { before, after, statements } = await beforeAndAfter(store, experiment, evidence, concerned);
  const wanted = new Set(deciding);
  const affected = [...new Set(statements.flatMap(({ id, fingerprint }) => (wanted.has(fingerprint) ? [id] : [])))];
  const judged = judge({
    before,
    after,
    affected,
    writes: evidence.writeIds.filter((id) => !affected.includes(id)),
    control: evidence.controlIds,
    alpha,
    margin,
    minimumBlocks: settings.minimumBlocks,
    table: experiment.tableOid,
  });
  const blocks = sound(after).length;
  return {
    experiment,
    verdict: {
      ...judged,
      pages: null,
      errors: null,
      units: null,
      statements: judged.statements.map((one) => ({
        ...one,
        controlMs: one.meanMsBefore,
        treatmentMs: one.meanMsAfter,
        controlCalls: one.callsBefore,
        treatmentCalls: one.callsAfter,
      })),
      soundBlocks: blocks,
      voidBlocks: after.length - blocks,
    },
    scans: await scansOf(session, store, experiment),
    blocks,
    minimumBlocks: settings.minimumBlocks,
    now: clock.now(),
  };
};

/** What the server counted before the index on trial was built, and since: of these statements, of what writes the table, and of the control. */
const beforeAndAfter = async (
  store: Store,
  { treatment, tableOid }: Experiment,
  { baselineFrom, baselineTo, writeIds, controlIds }: EvidencePlan,
  concerned: readonly string[] = [],
): Promise<{
  readonly before: readonly Block[];
  readonly after: readonly Block[];
  readonly statements: readonly StoredStatement[];
}> => {
  const gated = treatment.gate === null ? null : await store.deployments.get(treatment.gate.deploymentId);
  const from = new Date(baselineFrom);
  const only = { statements: [...concerned, ...writeIds, ...controlIds], table: tableOid };
  const earlier = await store.observations.readBlocks({ from, to: new Date(baselineTo), only });
  const before = earlier.blocks.filter(({ startedAt }) => startedAt >= from);
  if (gated === null) return { before, after: [], statements: earlier.statements };
  const builtAt = gated.updatedAt;
  const later = await store.observations.readBlocks({ from: builtAt, only });
  return {
    before,
    after: later.blocks.filter(({ startedAt }) => startedAt >= builtAt),
    statements: [...earlier.statements, ...later.statements],
  };
};

/** How often the arms' indexes were used, as the server has counted so far: sessions tell it late, some seconds after. */
const scansOf = async (session: Session, store: Store, { control, treatment }: Experiment): Promise<number> => {
  const oids: number[] = [];
  for (const { gate } of [control, treatment]) {
    const gated = gate === null ? null : await store.deployments.get(gate.deploymentId);
    if (gated !== null && gated.indexOid !== null) oids.push(gated.indexOid);
  }
  const [row] = await session.query<{ scans: string }>(
    "select coalesce(sum(pg_catalog.pg_stat_get_numscans(oid)), 0)::text as scans from unnest($1::oid[]) as u (oid)",
    [oids],
  );
  return Number(row?.scans ?? 0);
};

const sound = (blocks: readonly Block[]): readonly Block[] => blocks.filter(({ voidReason }) => voidReason === null);

const callsOf = (blocks: readonly Block[]): number =>
  blocks.reduce((sum, { statements }) => [...statements.values()].reduce((all, { calls }) => all + calls, sum), 0);

const atStageOf = (experiment: Experiment, { arms, full }: RecordedEvidence): ExperimentStanding["atStage"] => {
  const blocks = shareOf(experiment) === 1 ? full : arms.treatment.blocks;
  const own = sound(blocks).filter(({ startedAt }) => startedAt >= experiment.stageAt);
  return { windows: own.length, treatmentCalls: callsOf(own) };
};

/** Everybody on the treatment, against the control of the stages before. */
const judgeFull = (
  { alpha, margin, deciding }: Experiment,
  { arms, full }: RecordedEvidence,
  { statements }: ExperimentVerdict,
): ExperimentStanding["full"] => {
  if (full.length === 0) return null;
  const affected = deciding?.length ? deciding : statements.map(({ statementId }) => statementId);
  return judge({ before: arms.control.blocks, after: full, affected, writes: [], control: [], alpha, margin });
};

const secondsOf = (blocks: readonly Block[]): number =>
  blocks.reduce((sum, { startedAt, endedAt }) => sum + (endedAt.getTime() - startedAt.getTime()) / 1000, 0);

/**
 * By the point estimate, at the calls of everybody, as writes pay: those a second that the server counted while the arms ran, whether a hook saw them or not. Where it
 * counted none, those that were recorded.
 */
const savedMs = (
  { arms }: RecordedEvidence,
  pages: PageEvidence | null,
  { statements }: Pick<ExperimentVerdict, "statements">,
): number => {
  const recordedSeconds = secondsOf(sound(arms.control.blocks));
  const counted = pages === null ? [] : [...sound(pages.control), ...sound(pages.treatment)];
  const countedSeconds = secondsOf(counted) / 2;
  return statements.reduce((sum, { statementId, controlMs, treatmentMs, controlCalls, treatmentCalls }) => {
    if (controlMs === null || treatmentMs === null) return sum;
    const calls = counted.reduce((all, block) => all + (block.statements.get(statementId)?.calls ?? 0), 0);
    const perSecond = calls > 0 ? calls / countedSeconds : (controlCalls + treatmentCalls) / recordedSeconds;
    return sum + (controlMs - treatmentMs) * perSecond;
  }, 0);
};

/** What writes pay since the gated index was built: everybody's do, whatever share of the reads may use it. */
const judgeWrites = async (
  { settings }: PilotContext,
  store: Store,
  experiment: Experiment,
): Promise<{ readonly verdict: WriteVerdict; readonly paidMs: number } | null> => {
  const { evidence, alpha, margin } = experiment;
  if (evidence === null || evidence.writeIds.length === 0) return null;
  const { before, after } = await beforeAndAfter(store, experiment, evidence);
  const { writeIds: writes, controlIds: control } = evidence;
  const verdict = judge({
    before,
    after,
    affected: [],
    writes,
    control,
    alpha,
    margin,
    minimumBlocks: settings.minimumBlocks,
    table: experiment.tableOid,
  }).writes;
  if (verdict === null || verdict === undefined) return null;
  const wanted = new Set(writes);
  const seconds = secondsOf(sound(before));
  let ms = 0;
  for (const { statements } of sound(before)) {
    for (const [id, { totalMs }] of statements) if (wanted.has(id)) ms += totalMs;
  }
  return { verdict, paidMs: seconds > 0 ? ((verdict.interval?.low ?? 0) * ms) / seconds : 0 };
};

/** What the experiment says about the index that everybody gets, as a deployment keeps it: by `Statement.id` where the statement is known. */
export const verdictFor = async (store: Store, experiment: Experiment, deployment: Deployment): Promise<Verdict> => {
  const { verdict, winner } = experiment;
  if (verdict === null) throw new Error("an experiment that applies its winner has a verdict");
  const isTreatment = winner === "treatment";
  const stored = await store.observations.readStatements(verdict.statements.map(({ statementId }) => statementId));
  const ids = new Map(stored.map(({ fingerprint, id }) => [fingerprint, id]));
  const statements = verdict.statements.map((one): StatementVerdict => {
    const { controlMs, treatmentMs, controlCalls, treatmentCalls, change, interval, outcome } = one;
    return {
      statementId: ids.get(one.statementId) ?? one.statementId,
      outcome,
      meanMsBefore: isTreatment ? controlMs : treatmentMs,
      meanMsAfter: isTreatment ? treatmentMs : controlMs,
      change: isTreatment ? change : null,
      interval: isTreatment ? interval : null,
      callsBefore: isTreatment ? controlCalls : treatmentCalls,
      callsAfter: isTreatment ? treatmentCalls : controlCalls,
      blocksBefore: verdict.soundBlocks,
      blocksAfter: verdict.soundBlocks,
      reason: `side by side in experiment ${String(experiment.number)}`,
    };
  });
  return {
    outcome: isTreatment ? verdict.outcome : "better",
    change: isTreatment ? verdict.change : null,
    interval: isTreatment ? verdict.interval : null,
    exposure: "gate",
    statements,
    writes: verdict.writes ?? null,
    drift: null,
    controlStatements: 0,
    reason: `${verdict.reason} (${deployment.indexName}, side by side in experiment ${String(experiment.number)})`,
  };
};
