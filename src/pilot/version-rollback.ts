import { randomUUID } from "node:crypto";
import type { Deployment, IndexSeries, IndexVersion } from "../domain/index.ts";
import { failure } from "../errors.ts";
import { openSession, readKeyConstraint, sameIndexText, type Session } from "../postgres/index.ts";
import {
  advance,
  type BuildOutcome,
  findStanding,
  getIndexVersions,
  objectionToReplace,
  ownerOf,
  proposeRecorded,
  proposeReplacement,
  readStanding,
  type StandingIndex,
  trackIndexVersions,
} from "../rollout/index.ts";
import type { Store } from "../store/index.ts";
import { estimateBuildMs } from "./build-estimate.ts";
import { buildNow } from "./build-one.ts";
import { takeUpLeftovers } from "./leftovers.ts";
import { requireBuildPrivileges } from "./privileges.ts";
import { supersedeEarlier } from "./proposal.ts";
import { markChange } from "./since-change.ts";
import { ownRoles, type PilotContext, readStore, withSession } from "./target.ts";
import { withRollout } from "./verify.ts";

/** What rolling an index back to a version would do. */
export interface VersionRollback {
  readonly series: IndexSeries;
  /** What shall stand. */
  readonly version: IndexVersion;
  /** What stands now; null: it is gone, and is built again. */
  readonly standing: StandingIndex | null;
  /** The deployment of ours that the standing index belongs to. */
  readonly owner: Deployment | null;
  /** As large as that version was when it was last looked at. */
  readonly predictedBytes: number;
  /** Of a build of the same index, or by its method and the rows of its table. */
  readonly buildMs: number;
  readonly answer:
    | { readonly kind: "possible" }
    /** It is that already. */
    | { readonly kind: "unchanged" }
    /** It is not ours to replace, until a person says so. */
    | { readonly kind: "not_ours" }
    | { readonly kind: "impossible"; readonly code: string; readonly reason: string; readonly remedy: string };
}

export interface VersionRollbackOptions {
  /** `name` or `schema.name`. */
  readonly index: string;
  /** Number of the version. */
  readonly to: number;
  readonly actor: string;
  /** Why, for the history. */
  readonly reason: string;
  /** A person says that an index that is not ours may be replaced, or built again. */
  readonly notOurs: boolean;
}

export interface RolledBackVersion {
  readonly plan: VersionRollback;
  /** Null where nothing was begun, which `plan.answer` explains. */
  readonly outcome: BuildOutcome | null;
}

const only = <T extends IndexSeries>(found: readonly T[], index: string): T => {
  const [series, second] = found;
  if (series === undefined) {
    throw failure("usage", {
      problem: `no index named ${index} was seen at the last look`,
      hint: "`indexpilot versions` lists all that were",
    });
  }
  if (second !== undefined) {
    throw failure("usage", {
      problem: `several indexes are or were named ${index}: ${found.map((one) => `${one.schema}.${one.name} on ${one.table.name}`).join(", ")}`,
      hint: "write the schema too; of two on tables of one schema, the one that is gone cannot be named",
    });
  }
  return series;
};

/** Those that stand go before those that are gone. */
const standingFirst = <T extends IndexSeries>(found: readonly T[]): readonly T[] => {
  const standing = found.filter(({ latest }) => latest.change !== "dropped");
  return standing.length > 0 ? standing : found;
};

const plan = async (
  session: Session,
  store: Store,
  { index, to, notOurs }: Pick<VersionRollbackOptions, "index" | "to" | "notOurs">,
): Promise<VersionRollback> => {
  const series = only(standingFirst(await getIndexVersions(store, index)), index);
  const version = series.versions.find(({ number }) => number === to);
  if (version === undefined || version.change === "dropped") {
    const numbers = series.versions.filter(({ change }) => change !== "dropped").map(({ number }) => String(number));
    throw failure("usage", {
      problem:
        version === undefined
          ? `${index} has no version ${String(to)}`
          : `version ${String(to)} of ${index} is the one that dropped it: there is nothing to build`,
      hint: `versions that can be built: ${numbers.join(", ")}; \`indexpilot versions ${index}\` shows them`,
    });
  }
  const standing =
    (series.indexOid === null ? null : await readStanding(session, series.indexOid)) ??
    (await findStanding(session, `${series.schema}.${series.name}`)).find(
      ({ tableOid }) => tableOid === series.tableOid,
    ) ??
    null;
  const owner = standing === null ? null : await ownerOf(store, standing);
  const predictedBytes = Math.max(8192, version.sizeBytes);
  return {
    series,
    version,
    standing,
    owner,
    predictedBytes,
    buildMs: await estimateBuildMs(session, store, { ...series, ...version }),
    answer: answerOf(version, standing, owner, notOurs),
  };
};

const answerOf = (
  version: IndexVersion,
  standing: StandingIndex | null,
  owner: Deployment | null,
  notOurs: boolean,
): VersionRollback["answer"] => {
  if (standing === null) {
    if (version.constraint !== null && readKeyConstraint(version.constraint) === null) {
      return {
        kind: "impossible",
        code: "exclusion_constraint",
        reason: "PostgreSQL cannot make an exclusion constraint of an index",
        remedy: "add the constraint by hand, in a window in which the table's writes may stand still",
      };
    }
    return version.deploymentId !== null || notOurs ? { kind: "possible" } : { kind: "not_ours" };
  }
  if (
    sameIndexText(standing.definition, version.definition) &&
    standing.constraint === version.constraint &&
    standing.tablespace === version.tablespace
  ) {
    return { kind: "unchanged" };
  }
  if (owner?.partOf !== undefined) {
    return {
      kind: "impossible",
      code: "part",
      reason: `${standing.name} is the part of an index on a partitioned table`,
      remedy: "roll that one back; `indexpilot status` shows it",
    };
  }
  const objection = objectionToReplace(standing, version);
  if (objection !== null) return { kind: "impossible", ...objection };
  return owner !== null || notOurs ? { kind: "possible" } : { kind: "not_ours" };
};

/**
 * What {@link rollbackIndexVersion} would do, by the last look at the catalogue. Changes nothing.
 * @throws IndexPilotError `store_missing`; `usage` where there is no such index or version
 */
export const planVersionRollback = async (
  context: PilotContext,
  options: Pick<VersionRollbackOptions, "index" | "to" | "notOurs">,
): Promise<VersionRollback> => {
  const found = await readStore(context, (store) =>
    withSession(openSession(context.observe, "observe"), (session) => plan(session, store, options)),
  );
  if (found === null) throw failure("store_missing", {});
  return found;
};

/**
 * Lets an index be again what it was: the version is built beside what stands, checked, takes its name, and what stood is dropped; where it is gone, the version
 * is built again. Under a permit, with the person's name and reason in the history. Whatever fails leaves what stands.
 * @throws IndexPilotError as {@link planVersionRollback}; `privilege_missing`, `refused`, `connection_lost`
 */
export const rollbackIndexVersion = (
  context: PilotContext,
  options: VersionRollbackOptions,
): Promise<RolledBackVersion> =>
  withRollout(context, { name: options.actor, consents: true }, async (rollout) => {
    const { build, store, clock, actor } = rollout;
    await takeUpLeftovers(rollout, context.emit, { goOn: false });
    await trackIndexVersions(build, store, clock);
    const planned = await plan(build, store, options);
    if (planned.answer.kind !== "possible") return { plan: planned, outcome: null };
    const { series } = planned;
    await requireBuildPrivileges(build, [{ oid: series.tableOid }]);
    await supersedeEarlier(rollout, series);
    const proposed = proposalOf(planned, options, clock.now());
    await store.deployments.insert(proposed, { event: "propose", actor });
    const detail = { by: actor, reason: options.reason === "" ? `by ${actor}` : `by ${actor}: ${options.reason}` };
    const deployment = await advance(rollout, proposed, "approve", { actor, detail });
    if (deployment === null) throw new Error("a deployment that nobody else knows was changed by somebody else");
    context.emit({ kind: "step", text: `building version ${String(options.to)} of ${series.name}` });
    const outcome = await buildNow(context, rollout, deployment);
    if (outcome.kind !== "built") return { plan: planned, outcome };
    await withSession(openSession(context.observe, "observe"), (observe) =>
      markChange(observe, store, ownRoles(context)),
    );
    return { plan: planned, outcome };
  });

const proposalOf = (
  { series, version, standing, owner, predictedBytes, buildMs }: VersionRollback,
  { to, actor, reason }: VersionRollbackOptions,
  now: Date,
): Deployment => {
  const { definition, constraint, tablespace } = version;
  const intention = {
    id: randomUUID(),
    tableOid: series.tableOid,
    predictedBytes,
    rationale: {
      statementIds: [],
      costBefore: null,
      costAfter: null,
      reason: `back to version ${String(to)}, asked for by ${actor}${reason === "" ? "" : `: ${reason}`}`,
      prediction: { buildMs, writeOverhead: null, savedPerPaid: null },
    },
    recorded: { definition, constraint, tablespace },
    now,
  };
  return standing === null
    ? proposeRecorded({ ...intention, table: series.table, name: series.name })
    : proposeReplacement({ ...intention, standing, deploymentId: owner?.id ?? null });
};
