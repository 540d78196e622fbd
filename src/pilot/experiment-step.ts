import { randomUUID } from "node:crypto";
import {
  type ArmName,
  armNames,
  type Deployment,
  type Experiment,
  type ExperimentState,
  type ExperimentVerdict,
  type FollowerStand,
  type Outcome,
  shareOf,
  tableId,
  type TableName,
} from "../domain/index.ts";
import { quoteName } from "../postgres/index.ts";
import { advance, analyzeTable, proposeIndex, settleIndex } from "../rollout/index.ts";
import type { ExperimentPatch } from "../store/index.ts";
import {
  type EndCode,
  type ExperimentStanding,
  type ExperimentStep,
  nextStep,
  tenantStep,
} from "../verification/index.ts";
import { observeBaseline } from "./baseline.ts";
import { attended, type Conducted, type Conducting } from "./conducting.ts";
import { buildGated, carryTo, missingArm, retryOf, takeBackGated } from "./experiment-arm.ts";
import { keepGround } from "./experiment-ground.ts";
import { readTableWorkload, type StandingArm, testArms } from "./experiment-test.ts";
import { standingOf, tenantStandingOf, verdictFor } from "./experiment-verdict.ts";
import { decisionOn, type ExperimentDecision, judgeRecorded } from "./experiment-results.ts";
import { ensureDeployment } from "./experiments.ts";
import { SILENT_MS } from "./follow.ts";
import { markChange } from "./since-change.ts";
import { breakable, ownRoles } from "./target.ts";

/** All that was seen is read for each judgement; a hundredth more of it says nothing new. */
const NEWS = 0.01;

/** One step of an experiment, where one is to be made; recorded before the next. */
export const conductOne = async (conducting: Conducting, experiment: Experiment): Promise<Conducted> => {
  const gone = experiment.state === "removing" ? null : await missingTable(conducting, experiment);
  if (gone !== null) return breakOff(conducting, experiment, "table_gone", gone);
  switch (experiment.state) {
    case "preparing":
      return prepare(conducting, experiment);
    case "running":
      return look(conducting, experiment);
    case "applying":
      return applyWinner(conducting, experiment);
    case "removing":
      return remove(conducting, experiment);
    case "decided":
    case "stopped":
      return { experiment, reason: experiment.endReason ?? "it has ended" };
  }
};

/** Moves it on, where nobody else has. */
const move = async (
  { rollout }: Conducting,
  experiment: Experiment,
  patch: ExperimentPatch,
  reason: string,
  decided?: ExperimentDecision,
): Promise<Conducted> => {
  const { store, clock } = rollout;
  const decision = decided === undefined ? undefined : decisionOn(experiment, clock.now(), decided);
  const next = await store.experiments.advance(experiment, patch, decision);
  return next === null ? { experiment, reason: "another process took it up" } : { experiment: next, reason };
};

/** It never ran, and cannot: nothing was seen, so that nothing is said about the index. A canary's is then built for everybody at once. */
const cannotRun = async (
  conducting: Conducting,
  experiment: Experiment,
  code: string,
  reason: string,
): Promise<Conducted> => {
  const { rollout } = conducting;
  const patch = { state: "removing", stageAt: rollout.clock.now(), endReason: reason } as const;
  return move(conducting, experiment, patch, reason, { outcome: "undecided", code, reason });
};

/** Somebody took away what it stands on. What was wanted of it is not built: they had their reasons, whatever was seen so far. */
const breakOff = async (
  conducting: Conducting,
  experiment: Experiment,
  code: string,
  reason: string,
): Promise<Conducted> => {
  const { store, clock } = conducting.rollout;
  const stageAt = clock.now();
  const { verdict } = await judgeRecorded(store, experiment, stageAt);
  const undecided = { ...verdict, outcome: "undecided" as const, reason };
  const patch = { state: "removing", stageAt, endReason: reason, winner: null, verdict: undecided } as const;
  return move(conducting, experiment, patch, reason, { outcome: "undecided", code, reason, verdict: undecided });
};

const prepare = async (conducting: Conducting, laid: Experiment): Promise<Conducted> => {
  const { context, rollout, session } = conducting;
  const { store, clock } = rollout;
  if (clock.now().getTime() >= laid.createdAt.getTime() + laid.maxMs) {
    return cannotRun(conducting, laid, "time_over", "its time was over before it could begin");
  }
  const absent = laid.exposure === "gate" ? await absence(conducting, laid) : null;
  if (absent !== null) return absent;
  const experiment = await withBaseline(conducting, laid);
  const standing: StandingArm[] = [];
  for (const arm of armNames) {
    const { index, gate } = experiment[arm];
    if (index === null || gate === null) continue;
    const built = await buildGated(conducting, experiment, arm);
    switch (built.kind) {
      case "waits":
        return { experiment, reason: built.reason };
      case "failed":
        return cannotRun(conducting, experiment, "build_failed", built.reason);
      case "stands":
        standing.push({ ...gate, arm, indexName: built.deployment.indexName, index });
    }
  }
  await analyzeTable(rollout, experiment.table);
  const { gate } = experiment.treatment;
  const tenants = gate?.upTo === undefined ? null : { column: gate.column, upTo: gate.upTo };
  const workload = await readTableWorkload(context, session, experiment.table, tenants);
  const test = await testArms(session, experiment, standing, workload);
  if (test.kind === "fails") return cannotRun(conducting, experiment, test.code, test.reason);
  await keepGround(session, store, experiment, clock.now());
  if (experiment.exposure === "tenant" && (test.deciding.length === 0 || experiment.evidence === null)) {
    const why = "no statement of the workload asks for the tenants that have it, so that nothing could be seen";
    return cannotRun(conducting, experiment, "no_tenant_asks", why);
  }
  const closed = experiment.exposure === "gate" ? "whoever does not state them" : "all but some tenants";
  const reason = `the gates are closed to ${closed} (${String(test.tested)} statements asked about, ${String(test.deciding.length)} use an arm's index)`;
  // Where nothing was counted yet, nothing was asked.
  const deciding = test.tested === 0 ? null : test.deciding;
  return move(conducting, experiment, { state: "running", stageAt: clock.now(), deciding }, reason, {
    outcome: "running",
    code: "gates_work",
    reason,
    inputs: { deciding: test.deciding },
  });
};

/** Nothing is built for nobody: what is to be waited for, or the end of the waiting. Null where somebody can state the gates. */
const absence = async (conducting: Conducting, experiment: Experiment): Promise<Conducted | null> => {
  const { context, rollout } = conducting;
  const { store, clock } = rollout;
  const { canaryPatienceMs } = context.settings;
  const standsWithin = async (ms: number): Promise<readonly FollowerStand[]> =>
    (await store.experiments.followers(ms)).flatMap(({ stands }) => stands[experiment.id] ?? []);
  const isWilling = ({ objection }: FollowerStand): boolean => objection === null;
  const present = await standsWithin(SILENT_MS);
  if (present.some(isWilling)) return null;
  const why =
    present[0]?.objection ?? "no process of the application follows experiments, so that nobody can state the gate";
  const mayCome = clock.now().getTime() < experiment.createdAt.getTime() + canaryPatienceMs;
  return mayCome || (await standsWithin(canaryPatienceMs)).some(isWilling)
    ? { experiment, reason: `waiting for the application: ${why}` }
    : cannotRun(conducting, experiment, "no_follower", why);
};

/** Observes, before anything is built, what writes will be compared with. */
const withBaseline = async (conducting: Conducting, experiment: Experiment): Promise<Experiment> => {
  const { context, rollout, session } = conducting;
  const { store } = rollout;
  if (experiment.evidence !== null) return experiment;
  for (const arm of armNames) {
    const { gate } = experiment[arm];
    const known = gate === null ? null : await store.deployments.get(gate.deploymentId);
    if (known !== null && known.state !== "approved") return experiment;
  }
  const workload = await readTableWorkload(context, session, experiment.table);
  if (workload === null || (experiment.exposure === "gate" && workload.writeIds.length === 0)) return experiment;
  const { baselineMs, blockMs } = context.settings;
  const before = await observeBaseline(session, store, breakable(context), { baselineMs, blockMs });
  const [first] = before;
  const last = before.at(-1);
  if (first === undefined || last === undefined) return experiment;
  const evidence = {
    writeIds: workload.writeIds,
    controlIds: workload.controlIds,
    baselineFrom: first.startedAt.toISOString(),
    baselineTo: last.endedAt.toISOString(),
  };
  return (await store.experiments.advance(experiment, { evidence })) ?? experiment;
};

/** One look at an experiment that runs. */
const look = async (conducting: Conducting, experiment: Experiment): Promise<Conducted> => {
  const { context, rollout, session } = conducting;
  const { store, clock } = rollout;
  const broken = await keepGround(session, store, experiment, clock.now());
  if (broken !== null)
    context.emit({ kind: "note", text: `experiment ${String(experiment.number)}: ${broken.reason}` });
  const gone = await missingArm(conducting, experiment);
  if (gone !== null) return breakOff(conducting, experiment, "index_gone", gone);
  const last = conducting.judged.get(experiment.id);
  const runsMs = clock.now().getTime() - experiment.stageAt.getTime();
  if (last !== undefined && clock.monotonicMs() < last.atMs + runsMs * NEWS) return { experiment, reason: last.reason };
  const { verdict, step, beside } = await judge(conducting, experiment);
  switch (step.kind) {
    case "wait":
      conducting.judged.set(experiment.id, { atMs: clock.monotonicMs(), reason: verdict.reason });
      return { experiment, reason: verdict.reason };
    case "advance":
    case "retreat": {
      const isNext = step.kind === "advance";
      const stage = experiment.stage + (isNext ? 1 : -1);
      // Between two stages, when no window counts: the planner does not ask a partial index where a growing column ends.
      await analyzeTable(rollout, experiment.table);
      const share = `${(shareOf({ ...experiment, stage }) * 100).toFixed(0)} %`;
      const reason = `${share} from now on: ${step.reason}`;
      conducting.judged.delete(experiment.id);
      return move(conducting, experiment, { stage, stageAt: clock.now() }, reason, {
        outcome: verdict.outcome,
        code: isNext ? "next_stage" : "previous_stage",
        reason,
        verdict,
        inputs: beside,
      });
    }
    case "apply":
    case "end":
      return decide(conducting, experiment, { verdict, beside }, step);
  }
};

/** What the next step was decided by, beside the comparison of the arms. */
const besideArms = ({ atStage, full, writes, savedMs, paidMs, scans }: ExperimentStanding) => ({
  atStage,
  full,
  writes,
  savedMs,
  paidMs,
  scans,
});

interface Judged {
  readonly verdict: ExperimentVerdict;
  readonly step: ExperimentStep;
  /** What else the step was decided by. */
  readonly beside: Readonly<Record<string, unknown>>;
}

const judge = async ({ context, rollout, session }: Conducting, experiment: Experiment): Promise<Judged> => {
  if (experiment.exposure === "gate") {
    const standing = await standingOf(context, session, rollout.store, experiment);
    return { verdict: standing.verdict, step: nextStep(standing), beside: besideArms(standing) };
  }
  const standing = await tenantStandingOf(context, session, rollout.store, experiment);
  const { scans, blocks } = standing;
  return { verdict: standing.verdict, step: tenantStep(standing), beside: { scans, blocks } };
};

const decide = async (
  conducting: Conducting,
  experiment: Experiment,
  { verdict, beside }: Omit<Judged, "step">,
  step: Extract<ExperimentStep, { readonly kind: "apply" | "end" }>,
): Promise<Conducted> => {
  const { clock } = conducting.rollout;
  const { outcome, reason } = step;
  // What a canary's rule decided is the verdict: better overall and harmful to one statement is worse.
  const decided = { ...verdict, outcome, reason };
  const winner = step.kind === "apply" && experiment[step.winner].index !== null ? step.winner : null;
  const state: ExperimentState = winner === null ? "removing" : "applying";
  const patch = { state, stageAt: clock.now(), winner, verdict: decided, endReason: reason };
  return move(conducting, experiment, patch, reason, {
    outcome,
    code: step.kind === "apply" ? `${step.winner}_wins` : (step.code satisfies EndCode),
    reason,
    verdict,
    inputs: beside,
  });
};

/** Somebody dropped the table, or gave it another name, by which no process of the application states a gate. */
const missingTable = async ({ rollout }: Conducting, { tableOid, table }: Experiment): Promise<string | null> => {
  const [found] = await rollout.build.query<TableName>(
    `select n.nspname as schema, c.relname as name
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = $1`,
    [tableOid],
  );
  if (found === undefined) return `the table ${quoteName(table)} is gone`;
  return tableId(found) === tableId(table) ? null : `the table ${quoteName(table)} is named ${quoteName(found)} now`;
};

/** Builds the winner's index for everybody, while the gates are still stated, and keeps it. */
const applyWinner = async (conducting: Conducting, experiment: Experiment): Promise<Conducted> => {
  const { context, rollout, session } = conducting;
  const { store, clock } = rollout;
  const { winner } = experiment;
  const plain = winner === null ? null : await ensureDeployment(rollout, session, experiment, winner);
  if (winner === null || plain === null) throw new Error("an experiment applies the index of its winner");
  const isProved = experiment.exposure === "gate";
  if (!isProved && experiment.evidence !== null && plain.state === "approved") {
    // It has its verdict when everybody has it, against what was observed before anybody had.
    const rationale = { ...plain.rationale, evidence: experiment.evidence };
    await store.deployments.revise(plain.id, { rationale });
  }
  const built = await attended(conducting, experiment, carryTo(conducting, plain));
  const goOn = (reason: string, decided?: ExperimentDecision): Promise<Conducted> =>
    move(conducting, experiment, { state: "removing", stageAt: clock.now() }, reason, decided);
  switch (built.kind) {
    case "waits":
      return { experiment, reason: built.reason };
    case "failed": {
      if (built.mayRepeat === true) return buildAgain(conducting, experiment, winner, plain, built.reason);
      const reason = `the index of the ${winner} could not be built for everybody: ${built.reason}`;
      return goOn(reason, { outcome: "failed", code: "not_applied", reason });
    }
    case "stands":
      break;
  }
  if (built.deployment.state === "verifying" && isProved) {
    const verdict = await verdictFor(store, experiment, built.deployment);
    const kept = await settleIndex(rollout, built.deployment, {
      detail: { experiment: experiment.id, outcome: verdict.outcome satisfies Outcome },
      patch: { verdict },
    });
    if (kept.kind === "postponed") return { experiment, reason: kept.reason };
  }
  await markChange(session, store, ownRoles(context));
  return goOn(`${built.deployment.indexName} serves everybody`);
};

/** The process that built the winner's index was killed, or the server went down: nothing is known against it. */
const buildAgain = async (
  { rollout }: Conducting,
  experiment: Experiment,
  winner: ArmName,
  { intended, predictedBytes, rationale, tableOid }: Deployment,
  reason: string,
): Promise<Conducted> => {
  const { store, clock } = rollout;
  if (intended === null) throw new Error("the index of an arm was not taken from the history");
  const id = randomUUID();
  // Nobody else may take it for a proposal of its own: first it belongs to the experiment, then it is there.
  const next = await store.experiments.advance(experiment, { [winner]: { ...experiment[winner], deploymentId: id } });
  if (next === null) return { experiment, reason: "another process took it up" };
  const again = proposeIndex({ id, definition: intended, tableOid, predictedBytes, rationale, now: clock.now() });
  await store.deployments.insert(again, { event: "propose", actor: experiment.actor });
  return { experiment: next, reason: `${reason}; it is built again` };
};

/** Removes what was built for the experiment, once nobody states a gate any more. */
const remove = async (conducting: Conducting, experiment: Experiment): Promise<Conducted> => {
  const { rollout, notBefore } = conducting;
  const { store, clock, actor } = rollout;
  const now = clock.now();
  const stating = (await store.experiments.followers(SILENT_MS)).filter(
    ({ stands }) => (stands[experiment.id]?.share ?? 0) > 0,
  );
  if (stating.length > 0 && now.getTime() < experiment.stageAt.getTime() + SILENT_MS) {
    return { experiment, reason: `${String(stating.length)} processes still state its gates` };
  }
  for (const arm of armNames) {
    const { gate } = experiment[arm];
    const gated = gate === null ? null : await store.deployments.get(gate.deploymentId);
    if (gated === null) continue;
    if (gated.state === "proposed" || gated.state === "approved") {
      await advance(rollout, gated, "decline", { actor, detail: { reason: experiment.endReason } });
      continue;
    }
    if (gated.state === "building") return { experiment, reason: `${gated.indexName} is being built` };
    if (gated.state !== "verifying" && gated.state !== "settled" && gated.state !== "rolling_back") continue;
    if ((notBefore.get(gated.id) ?? 0) > now.getTime())
      return { experiment, reason: `${gated.indexName} is still there` };
    const outcome = await takeBackGated(rollout, gated, experiment.endReason ?? "the experiment ended");
    if (outcome.kind === "dropped") continue;
    if (outcome.kind === "refused" || outcome.kind === "deferred")
      notBefore.set(gated.id, retryOf(outcome, now.getTime()));
    return { experiment, reason: outcome.kind === "interrupted" ? "interrupted" : outcome.reason };
  }
  await releaseDeployments(conducting, experiment);
  const { verdict, endReason } = experiment;
  const state = verdict === null || verdict.outcome === "undecided" ? "stopped" : "decided";
  return move(conducting, experiment, { state, endedAt: clock.now() }, endReason ?? "it has ended");
};

/** Declines what will not be built. A canary that never ran says nothing about its index, which is built for everybody as if there had been none. */
const releaseDeployments = async ({ rollout }: Conducting, experiment: Experiment): Promise<void> => {
  const { store, actor } = rollout;
  const goesOn = experiment.kind === "canary" && experiment.verdict === null;
  for (const arm of armNames) {
    const { deploymentId } = experiment[arm];
    const plain = deploymentId === null ? null : await store.deployments.get(deploymentId);
    if (plain === null || goesOn || (plain.state !== "approved" && plain.state !== "proposed")) continue;
    const detail = { code: "experiment", experiment: experiment.id, reason: experiment.endReason };
    await advance(rollout, plain, "decline", { actor, detail });
  }
};
