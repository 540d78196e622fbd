import { majorVersion } from "../domain/index.ts";
import type { Store } from "../store/index.ts";
import { type Advice, confidenceOf, doubtsOf } from "./advice.ts";
import type { ChangePlan } from "./change-plan.ts";
import { reportOf } from "./index-report.ts";

/** Stores one analysis as decisions: the whole, and each candidate that was declined. */
export const recordAdvice = async (store: Store, advice: Advice, now: Date): Promise<void> => {
  const { configuration } = advice;
  await store.decisions.record({
    at: now,
    subject: "advise",
    deploymentId: null,
    rule: "selection.portfolio+swap",
    outcome: `${String(configuration.create.length)} to create`,
    code: configuration.create.length === 0 ? "nothing_pays" : "advised",
    reason: `${configuration.unit} ${configuration.totals.costBefore.toFixed(2)} to ${configuration.totals.costAfter.toFixed(2)} by ${String(configuration.create.length)} indexes`,
    inputs: {
      planner: advice.planner,
      server: { major: majorVersion(advice.catalog.server.versionNum), node: advice.catalog.server.node },
      budgetBytes: advice.budgetBytes,
      totals: configuration.totals,
      statements: configuration.statements,
      create: configuration.create.map((chosen) => ({
        definition: chosen.index.definition,
        sizeBytes: chosen.index.estimatedBytes,
        statementIds: chosen.statementIds,
        costBefore: chosen.costBefore,
        costAfter: chosen.costAfter,
        gains: chosen.gains ?? [],
        alternative: chosen.alternative ?? null,
        confidence: confidenceOf(advice, chosen),
        // Reasons of doubt name shapes, costs and objects.
        doubts: doubtsOf(advice, chosen),
        writes: reportOf(advice, chosen).writes,
      })),
      drop: configuration.drop.map(({ index, code, reason }) => ({ definition: index.definition, code, reason })),
      // Reasons name shapes, costs and objects, never a value.
      calibrations: [...advice.calibrations.values()],
      leftOut: advice.leftOut,
      blindSpots: advice.blindSpots,
    },
  });
  for (const declined of configuration.declined) {
    await store.decisions.record({
      at: now,
      subject: "decline",
      deploymentId: null,
      rule: `candidates+selection.${declined.code}`,
      outcome: "declined",
      code: declined.code,
      reason: declined.reason,
      inputs: { definition: declined.definition, statementIds: declined.statementIds },
    });
  }
};

/** Stores that there was nothing to advise on. */
export const recordNothingNew = (store: Store, reason: string, now: Date): Promise<void> =>
  store.decisions.record({
    at: now,
    subject: "advise",
    deploymentId: null,
    rule: "pilot.since_last_change",
    outcome: "nothing new",
    code: "nothing_since_change",
    reason,
    inputs: {},
  });

/** Stores that a plan made before is carried out now. */
export const recordPlan = (store: Store, plan: ChangePlan, now: Date): Promise<void> =>
  store.decisions.record({
    at: now,
    subject: "apply plan",
    deploymentId: null,
    rule: "pilot.plan_unmoved",
    outcome: `${String(plan.create.length)} to create`,
    code: "plan_unmoved",
    reason: "the database and the tables concerned are as they were when the plan was made",
    inputs: { ...plan },
  });
