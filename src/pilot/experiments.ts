import { randomUUID } from "node:crypto";
import {
  type ArmName,
  armNames,
  definitionId,
  type Deployment,
  type Experiment,
  type ExperimentArm,
  type ExperimentMetric,
  type ExperimentUnit,
  type IndexDefinition,
  tableId,
  type TableName,
} from "../domain/index.ts";
import { failure } from "../errors.ts";
import { openSession, quoteName, readIndexText, sameDefinition, type Session } from "../postgres/index.ts";
import { expectedDefinition, proposeIndex } from "../rollout/index.ts";
import type { Store } from "../store/index.ts";
import { predictBytes } from "./predict-bytes.ts";
import { approveProposal, type Deciding } from "./proposal.ts";
import { type PilotContext, withSession, withWritableStore } from "./target.ts";

/** Two ways to index a table, to be compared on live traffic. */
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
      await refuseWhatStands(session, treatment, "the treatment's index, so that both arms have it");
      const asControl = "the control's index: leave the control out, which compares with what everybody has";
      if (control !== null) await refuseWhatStands(session, control, asControl);
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
      await refuseWhatStands(session, index, "this index, and everybody has it");
      const treatment = { index, deploymentId: randomUUID(), gate: gateFor(index) };
      const exposed = { exposure: "gate", treatment, evidence: null, actor } as const;
      const canary = await layDownCanary(context, store, session, exposed);
      await ensureDeployment({ store, clock: context.clock, actor }, session, canary, "treatment");
      return canary;
    }),
  );

/**
 * An index on trial beside one that is the same would show nothing.
 * @param asWhat what it is to the experiment
 * @throws IndexPilotError `experiment_invalid`
 */
const refuseWhatStands = async (session: Session, index: IndexDefinition, asWhat: string): Promise<void> => {
  const body = (definition: string): string => readIndexText(definition).body;
  const wanted = body(await expectedDefinition(session, index, "x"));
  const standing = await session.query<{ schema: string; name: string; definition: string }>(
    `select n.nspname as schema, c.relname as name, pg_catalog.pg_get_indexdef(c.oid) as definition
       from pg_catalog.pg_index i
       join pg_catalog.pg_class c on c.oid = i.indexrelid
       join pg_catalog.pg_class t on t.oid = i.indrelid
       join pg_catalog.pg_namespace n on n.oid = t.relnamespace
      where n.nspname = $1 and t.relname = $2 and i.indisvalid`,
    [index.table.schema, index.table.name],
  );
  const same = standing.find(({ definition }) => sameDefinition(body(definition), wanted));
  if (same !== undefined) throw invalid(`${quoteName(same)} is already ${asWhat}`);
};

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
