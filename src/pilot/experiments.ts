import { randomUUID } from "node:crypto";
import {
  type ArmCall,
  type ArmName,
  armNames,
  type ArmWindow,
  type Decision,
  definitionId,
  type Deployment,
  type Experiment,
  type ExperimentArm,
  type ExperimentMetric,
  type ExperimentUnit,
  type ExperimentVerdict,
  type IndexDefinition,
  tableId,
  type TableName,
} from "../domain/index.ts";
import { failure } from "../errors.ts";
import { openSession, quoteName, readServerIdentity, type Session } from "../postgres/index.ts";
import { proposeIndex } from "../rollout/index.ts";
import { loadParser } from "../sql/index.ts";
import { openStore, type Store } from "../store/index.ts";
import {
  ArmTally,
  evidenceOfWindows,
  judgeArms,
  type PageEvidence,
  type RecordedEvidence,
} from "../verification/index.ts";
import { pagesOf } from "./experiment-pages.ts";
import { predictBytes } from "./predict-bytes.ts";
import { approveProposal, type Deciding } from "./proposal.ts";
import { type PilotContext, readStore, withSession, withWritableStore } from "./target.ts";

export interface AbExperimentSpec {
  readonly table: TableName;
  /** What the treatment is compared with; null: the indexes that everybody has. */
  readonly control: IndexDefinition | null;
  readonly treatment: IndexDefinition;
  /** Share of the units that the treatment gets, between 0 and 1. Default 0.1. */
  readonly treatmentShare?: number;
  /** Default `transaction`. */
  readonly unit?: ExperimentUnit;
  /** Default `mean`. */
  readonly metric?: ExperimentMetric;
  /** Defaults are those of the settings. */
  readonly margin?: number;
  readonly alpha?: number;
  /** Length of one window of evidence, whole milliseconds up to a day. At least a 20,000th of `maxMs`, and as long where it is shorter. */
  readonly blockMs?: number;
  /** How long it may run, whole milliseconds up to a year. */
  readonly maxMs?: number;
  /** Who wants it, and says yes to whatever it builds. */
  readonly actor: string;
}

const invalid = (problem: string): Error => failure("experiment_invalid", { problem });

/**
 * Lays down an experiment with two ways to index a table, before anything of it is seen. Builds nothing yet: {@link conductExperiments} does.
 * @throws IndexPilotError `experiment_invalid`, also where another one is open on the table; as `openSession` and `openStore` do
 */
export const createAbExperiment = (context: PilotContext, spec: AbExperimentSpec): Promise<Experiment> =>
  withWritableStore(context, (store) =>
    withSession(openSession(context.observe, "observe"), async (session) => {
      const { table, control, treatment, treatmentShare = 0.1 } = spec;
      if (!(treatmentShare > 0 && treatmentShare < 1)) throw invalid("the treatment's share is not between 0 and 1");
      if (control !== null && definitionId(control) === definitionId(treatment)) {
        throw invalid("both arms have the same index");
      }
      const deciding = { store, clock: context.clock, actor: spec.actor };
      const armOf = (index: IndexDefinition | null): ExperimentArm =>
        index === null ? nothing : { index, deploymentId: randomUUID(), gate: gateFor(index) };
      const experiment = await layDown(context, store, session, {
        ...spec,
        kind: "comparison",
        exposure: "gate",
        control: armOf(control),
        treatment: armOf(treatment),
        stages: [treatmentShare],
        evidence: null,
      });
      for (const arm of armNames) await ensureDeployment(deciding, session, experiment, arm);
      context.emit({
        kind: "note",
        text: `experiment ${String(experiment.number)} on ${quoteName(table)} is laid down`,
      });
      return experiment;
    }),
  );

/**
 * Lets a new index serve a share of the transactions first, then half of them, then all, before it is built for everybody. Builds nothing yet:
 * {@link conductExperiments} does.
 * @throws IndexPilotError `experiment_invalid`, also where another experiment is open on the table; as `openSession` and `openStore` do
 */
export const createCanaryDeployment = (
  context: PilotContext,
  { index, actor }: { readonly index: IndexDefinition; readonly actor: string },
): Promise<Experiment> =>
  withWritableStore(context, (store) =>
    withSession(openSession(context.observe, "observe"), async (session) => {
      const treatment = { index, deploymentId: randomUUID(), gate: gateFor(index) };
      const exposed = { exposure: "gate", treatment, evidence: null, actor } as const;
      const canary = await layDownCanary(context, store, session, exposed);
      await ensureDeployment({ store, clock: context.clock, actor }, session, canary, "treatment");
      return canary;
    }),
  );

/** Lays down the canary of a deployment that is approved. */
export const canaryOf = (
  context: PilotContext,
  store: Store,
  /** Observes the target. */
  session: Session,
  { id, intended, rationale }: Deployment,
  /** The tenants that it shall serve first; null: transactions that state its gate. */
  tenants: { readonly column: string; readonly upTo: string } | null,
  actor: string,
): Promise<Experiment> => {
  if (intended === null) throw invalid("only what was advised can be a canary");
  const gate = tenants === null ? gateFor(intended) : { deploymentId: randomUUID(), ...tenants };
  return layDownCanary(context, store, session, {
    exposure: tenants === null ? "gate" : "tenant",
    treatment: { index: intended, deploymentId: id, gate },
    evidence: rationale.evidence ?? null,
    actor,
  });
};

const layDownCanary = (
  context: PilotContext,
  store: Store,
  session: Session,
  wanted: Pick<Experiment, "exposure" | "evidence" | "actor"> & {
    readonly treatment: ExperimentArm & { readonly index: IndexDefinition };
  },
): Promise<Experiment> => {
  const first = context.settings.canaryShare;
  return layDown(context, store, session, {
    ...wanted,
    kind: "canary",
    table: wanted.treatment.index.table,
    control: nothing,
    stages: wanted.exposure === "tenant" ? [first] : first < 0.5 ? [first, 0.5, 1] : [first, 1],
  });
};

const nothing: ExperimentArm = { index: null, deploymentId: null, gate: null };

/** The leading key's column: it is read anyway, so that index-only scans and HOT updates stay what they are. */
const gateFor = ({ keys }: IndexDefinition): NonNullable<ExperimentArm["gate"]> => {
  const [key] = keys;
  if (key === undefined) throw invalid("an index without keys");
  return { deploymentId: randomUUID(), column: key.column };
};

type Laid = Pick<
  Experiment,
  "kind" | "exposure" | "table" | "control" | "treatment" | "stages" | "evidence" | "actor"
> &
  Partial<Pick<Experiment, "unit" | "metric" | "margin" | "alpha" | "blockMs" | "maxMs">>;

/** More of them say hardly more, and each look reads them all. */
const mostWindows = 20_000;

const DAY_MS = 86_400_000;
const isWhole = (ms: number, mostMs: number): boolean => Number.isInteger(ms) && ms >= 1 && ms <= mostMs;

const layDown = async (context: PilotContext, store: Store, session: Session, laid: Laid): Promise<Experiment> => {
  const { settings, clock } = context;
  const { table, alpha = settings.alpha, margin = settings.margin } = laid;
  const { blockMs = settings.blockMs, maxMs = settings.canaryMaxMs } = laid;
  if (!(alpha > 0 && alpha < 1)) throw invalid("alpha is not between 0 and 1");
  if (!(margin > 0 && margin < 1)) throw invalid("the margin is not between 0 and 1");
  if (!isWhole(blockMs, DAY_MS)) throw invalid("a window is not 1 ms to a day long, in whole milliseconds");
  if (!isWhole(maxMs, 365 * DAY_MS)) throw invalid("its longest time is not 1 ms to a year, in whole milliseconds");
  const tableOid = await tableOidOf(session, table, [laid.control, laid.treatment]);
  const now = clock.now();
  const experiment = await store.experiments.insert({
    ...laid,
    id: randomUUID(),
    tableOid,
    stage: 0,
    stageAt: now,
    unit: laid.unit ?? "transaction",
    metric: laid.metric ?? "mean",
    margin,
    alpha,
    blockMs: Math.max(blockMs, Math.ceil(maxMs / mostWindows)),
    maxMs,
    state: "preparing",
    deciding: null,
    winner: null,
    createdAt: now,
    endedAt: null,
    endReason: null,
    verdict: null,
  });
  if (experiment === null) throw invalid(`another experiment is open on ${quoteName(table)}`);
  return experiment;
};

/** @throws IndexPilotError `experiment_invalid` where the arms cannot be built on this table */
const tableOidOf = async (session: Session, table: TableName, arms: readonly ExperimentArm[]): Promise<number> => {
  const [found] = await session.query<{ oid: number; partitioned: boolean; columns: string[] }>(
    `select c.oid, c.relkind = 'p' as partitioned,
            array(select a.attname::text from pg_catalog.pg_attribute a
                   where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p')`,
    [table.schema, table.name],
  );
  if (found === undefined) throw invalid(`there is no table ${quoteName(table)}`);
  if (found.partitioned) {
    throw invalid(`${quoteName(table)} is partitioned: an index on trial would have to be made on each partition`);
  }
  for (const { index } of arms) {
    if (index === null) continue;
    if (tableId(index.table) !== tableId(table)) throw invalid(`an arm's index is not on ${quoteName(table)}`);
    const missing = [...index.keys.map(({ column }) => column), ...index.include].find(
      (column) => !found.columns.includes(column),
    );
    if (missing !== undefined) throw invalid(`${quoteName(table)} has no column ${missing}`);
  }
  return found.oid;
};

/** The deployment that builds an arm's index for everybody, should it win: made where it is missing, approved in the name of who wanted the experiment. */
export const ensureDeployment = async (
  deciding: Deciding,
  /** Observes the target. */
  session: Session,
  experiment: Experiment,
  arm: ArmName,
): Promise<Deployment | null> => {
  const { store, clock } = deciding;
  const { index, deploymentId } = experiment[arm];
  if (index === null || deploymentId === null) return null;
  const known = await store.deployments.get(deploymentId);
  if (known !== null && known.state !== "proposed") return known;
  const proposed =
    known ??
    proposeIndex({
      id: deploymentId,
      definition: index,
      tableOid: experiment.tableOid,
      predictedBytes: await predictBytes(session, index),
      rationale: {
        statementIds: [],
        costBefore: null,
        costAfter: null,
        reason: `the ${arm} of experiment ${String(experiment.number)}`,
      },
      now: clock.now(),
    });
  if (known === null) await store.deployments.insert(proposed, { event: "propose", actor: experiment.actor });
  return approveProposal({ ...deciding, actor: experiment.actor }, proposed, "who wanted the experiment");
};

/** Adds up what an application sees of an experiment, and hands it over window by window. */
export interface AbRecorder {
  readonly experiment: Experiment;
  /** As {@link recordAbResult}. */
  record(call: ArmCall): void;
  /** Hands over the windows that are over; what could not be handed over is, the next time. */
  flush(): Promise<void>;
  /** Hands over everything, and closes its session. */
  close(): Promise<void>;
}

/** So far the clock of whoever measured may be ahead. */
const CLOCK_AHEAD_MS = 60_000;

/** One wrong number would spoil the sums of its window, and a wrong date their number. @throws IndexPilotError `call_invalid` */
const requireSane = ({ at, timeMs, rows, share }: ArmCall, from: Date, now: Date): void => {
  const refuse = (problem: string): never => {
    throw failure("call_invalid", { problem });
  };
  if (!(timeMs >= 0 && Number.isFinite(timeMs))) refuse(`timeMs is ${String(timeMs)}`);
  if (rows !== null && !(rows >= 0 && Number.isFinite(rows))) refuse(`rows is ${String(rows)}`);
  if (!(share > 0 && share <= 1)) refuse(`share is ${String(share)}`);
  const time = at.getTime();
  if (Number.isNaN(time)) refuse("at is no date");
  if (time < from.getTime()) refuse(`at is ${at.toISOString()}, before the experiment was laid down`);
  if (time > now.getTime() + CLOCK_AHEAD_MS) refuse(`at is ${at.toISOString()}, which is yet to come`);
};

/**
 * Opens a recorder for an application that measures by itself; several may record the same experiment. Flush it about once per window. With the driver hook,
 * `followExperiments` does all that.
 * @throws IndexPilotError `experiment_invalid` where there is no such experiment, `store_missing`; as `openSession` does
 */
export const openAbRecorder = async (context: PilotContext, id: string): Promise<AbRecorder> => {
  const session = await openSession(context.build, "store");
  try {
    const { clock } = context;
    const server = await readServerIdentity(session);
    const store = await openStore(session, { create: false, server, now: clock.now() });
    if (store === null) throw failure("store_missing", {});
    const experiment = await known(store, id);
    const tally = new ArmTally(experiment.blockMs);
    const add = (windows: readonly ArmWindow[]): Promise<void> => store.experiments.add(id, windows);
    return {
      experiment,
      record: (call) => {
        requireSane(call, experiment.createdAt, clock.now());
        tally.add(call);
      },
      flush: () => tally.handOver(clock.now(), add),
      close: async () => {
        try {
          await tally.handOver(null, add);
        } finally {
          await session.close();
        }
      },
    };
  } catch (error) {
    await session.close();
    throw error;
  }
};

/**
 * Takes note of one call, in memory.
 * @throws IndexPilotError `call_invalid` where a number or the date of the call cannot be; nothing of it is taken note of
 */
export const recordAbResult = (recorder: AbRecorder, call: ArmCall): void => {
  recorder.record(call);
};

const known = async (store: Store, id: string): Promise<Experiment> => {
  const experiment = await store.experiments.get(id);
  if (experiment === null) throw failure("experiment_invalid", { problem: `there is no experiment ${id}` });
  return experiment;
};

/** An experiment with what it says so far, or was decided by. */
export interface AbResults {
  readonly experiment: Experiment;
  readonly verdict: ExperimentVerdict;
  /**
   * Whether nothing more is to be waited for: it is decided or has ended, its time is up, or what was seen so far ends it at the next look. A canary that is better
   * so far goes on to its next stage, and is not over.
   */
  readonly over: boolean;
  /** Of the statements, by fingerprint, for people: verb and tables. */
  readonly labels: Readonly<Record<string, string>>;
}

/** What was recorded, and the verdict over it. */
export const judgeRecorded = async (
  store: Store,
  experiment: Experiment,
  now: Date,
): Promise<{
  readonly evidence: RecordedEvidence;
  readonly pages: PageEvidence | null;
  readonly verdict: ExperimentVerdict;
}> => {
  const { blockMs, metric, alpha, margin, deciding, createdAt: from } = experiment;
  const { windows, voids } = await store.experiments.readWindows(experiment.id, { latencies: metric === "p95" });
  const evidence = evidenceOfWindows(windows, voids, blockMs, { from, now }, deciding);
  const { arms, treatmentShare } = evidence;
  const pages = await pagesOf(store, experiment, evidence);
  return { evidence, pages, verdict: judgeArms({ ...arms, treatmentShare, deciding, pages, metric, alpha, margin }) };
};

/** Of a canary that some tenants have, before it is decided. */
const notYet: ExperimentVerdict = {
  outcome: "undecided",
  change: null,
  interval: null,
  pages: null,
  errors: null,
  units: null,
  statements: [],
  soundBlocks: 0,
  voidBlocks: 0,
  reason: "judged before and after, from what the server counts, by whoever conducts it",
};

/** When the time of one that runs is over. It is that of the stages: what is built for it may have had to wait for a maintenance window. */
export const endOf = ({ stage, stageAt, maxMs }: Experiment, { arms }: RecordedEvidence): Date => {
  const [first] = arms.control.blocks;
  const begun = stage === 0 || first === undefined ? stageAt : first.startedAt;
  return new Date(begun.getTime() + maxMs);
};

const resultsOf = async (store: Store, experiment: Experiment, now: Date): Promise<AbResults> => {
  const { verdict, over } = await verdictNow(store, experiment, now);
  const statements = await store.observations.readStatements(verdict.statements.map(({ statementId }) => statementId));
  const labels = Object.fromEntries(statements.map(({ fingerprint, label }) => [fingerprint, label]));
  return { experiment, verdict, over, labels };
};

const verdictNow = async (
  store: Store,
  experiment: Experiment,
  now: Date,
): Promise<Pick<AbResults, "verdict" | "over">> => {
  if (experiment.verdict !== null) return { verdict: experiment.verdict, over: true };
  const { kind, state } = experiment;
  const isDecided = state !== "preparing" && state !== "running";
  if (experiment.exposure === "tenant") return { verdict: notYet, over: isDecided };
  const { evidence, verdict } = await judgeRecorded(store, experiment, now);
  const ends = verdict.outcome === "better" ? kind === "comparison" : verdict.outcome !== "undecided";
  const over = isDecided || (state === "running" && (ends || now >= endOf(experiment, evidence)));
  return { verdict, over };
};

/**
 * What an experiment says: at any time, as often as one likes. Reads only.
 * @throws IndexPilotError `experiment_invalid` where there is no such experiment, `store_missing`
 */
export const getAbResults = async (context: PilotContext, id: string): Promise<AbResults> => {
  await loadParser();
  const found = await readStore(context, async (store) =>
    resultsOf(store, await known(store, id), context.clock.now()),
  );
  if (found === null) throw failure("store_missing", {});
  return found;
};

/** Every experiment there was, oldest first. Reads only. */
export const listAbExperiments = async (context: PilotContext): Promise<readonly Experiment[]> =>
  (await readStore(context, (store) => store.experiments.list())) ?? [];

/**
 * Decides an experiment now, by what was seen; `conductExperiments` then removes what was built for it. Nobody's index is applied: a person who stops it has
 * seen the verdict.
 * @throws IndexPilotError `experiment_invalid` where there is no such experiment, or it was decided before
 */
export const endAbExperiment = (
  context: PilotContext,
  { id, actor, reason }: { readonly id: string; readonly actor: string; readonly reason: string },
): Promise<AbResults> =>
  withWritableStore(context, async (store) => {
    await loadParser();
    const now = context.clock.now();
    const { experiment, verdict, labels } = await resultsOf(store, await known(store, id), now);
    const isOpen = experiment.state === "preparing" || experiment.state === "running";
    const patch = { state: "removing", stageAt: now, endReason: reason, verdict } as const;
    const decision = decisionOn(experiment, now, {
      outcome: verdict.outcome,
      code: "stopped",
      reason: `${reason}, by ${actor}: ${verdict.reason}`,
      verdict,
    });
    const ended = isOpen ? await store.experiments.advance(experiment, patch, decision) : null;
    if (ended === null) {
      throw failure("experiment_invalid", { problem: `experiment ${String(experiment.number)} was decided before` });
    }
    return { experiment: ended, verdict, over: true, labels };
  });

/** What was decided about an experiment; `verdict`: what it was decided by. */
export interface ExperimentDecision {
  readonly outcome: string;
  readonly code: string;
  readonly reason: string;
  readonly verdict?: ExperimentVerdict;
  readonly inputs?: Readonly<Record<string, unknown>>;
}

/** The record of a decision about an experiment as it was then. */
export const decisionOn = (
  { id, exposure, table, control, treatment, alpha, margin, stages, stage }: Experiment,
  at: Date,
  { outcome, code, reason, verdict, inputs = {} }: ExperimentDecision,
): Decision => ({
  at,
  subject: "experiment",
  deploymentId: treatment.deploymentId,
  rule: verdict === undefined ? "pilot.conduct" : "verification.next_step",
  outcome,
  code,
  reason,
  inputs: {
    experiment: id,
    exposure,
    table,
    control: control.index,
    treatment: treatment.index,
    alpha,
    margin,
    share: stages[stage] ?? null,
    ...(verdict === undefined
      ? {}
      : { soundBlocks: verdict.soundBlocks, voidBlocks: verdict.voidBlocks, units: verdict.units }),
    ...inputs,
  },
});
