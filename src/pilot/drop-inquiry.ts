import type { DeclinedCandidate } from "../domain/index.ts";
import { failure } from "../errors.ts";
import { quoteName, readManagedBy, type Session } from "../postgres/index.ts";
import { findStanding, objectionToDrop, type StandingIndex } from "../rollout/index.ts";
import { readReplicationLag } from "../safeguards/index.ts";
import { selectConfiguration } from "../selection/index.ts";
import { createCostModel } from "../whatif/index.ts";
import { openPlanner } from "./advise.ts";
import { readSubject } from "./analysis.ts";
import { readScans } from "./replicas.ts";
import { liveTarget } from "./source.ts";
import type { PilotContext } from "./target.ts";
import { workloadOfTraffic } from "./workload.ts";

/** What speaks for and against dropping an index, anybody's. */
export interface DropInquiry {
  readonly standing: StandingIndex;
  /** Null: it may be dropped. */
  readonly objection: { readonly code: string; readonly reason: string } | null;
  /** Statements that were planned without it; null where that was not asked any more. */
  readonly planned: number | null;
  /** `Statement.id` of those that use its table: what a trial looks at. */
  readonly statementIds: readonly string[];
  /** Of those, what writes it; and statements on none of its table, which show the drift. */
  readonly writeIds: readonly string[];
  readonly controlIds: readonly string[];
  /** Statements that could not be read, and why. */
  readonly unread: readonly string[];
}

/** The one index of this name, anybody's. @throws IndexPilotError `usage` where there is none, or several */
export const onlyStanding = async (session: Session, name: string): Promise<StandingIndex> => {
  const [standing, second] = await findStanding(session, name);
  if (standing === undefined) {
    throw failure("usage", {
      problem: `there is no index named ${name}`,
      hint: "write it as the catalogue does, with its schema where needed",
    });
  }
  if (second === undefined) return standing;
  throw failure("usage", {
    problem: `several schemas have an index named ${name}`,
    hint: `write ${standing.schema}.${standing.name} or ${second.schema}.${second.name}`,
  });
};

/**
 * Asks everything that can be said against dropping an index: what it stands for, who else uses it, and what the planner would do without it with each statement of
 * the workload, the last per cent of the time included. Reads only.
 * @throws IndexPilotError `workload_empty`: without a workload nothing is known about who needs it; `usage` as {@link onlyStanding}
 */
export const inquireDrop = async (
  context: PilotContext,
  session: Session,
  replicas: readonly Session[],
  options: { readonly index: string; readonly observeMs: number | null; readonly seed: number },
): Promise<DropInquiry> => {
  const standing = await onlyStanding(session, options.index);
  const early = objectionToDrop(standing) ?? (await objectionOfOthers(session, replicas, standing));
  if (early !== null) {
    return {
      standing,
      objection: early,
      planned: null,
      statementIds: [],
      writeIds: [],
      controlIds: [],
      unread: [],
    };
  }
  const { observeMs, seed } = options;
  const traffic = workloadOfTraffic(context, session, { observeMs, seed, replicas, everything: true });
  const source = liveTarget(session, traffic, replicas);
  const { planned, workload, accesses, explainable } = await readSubject(source, context.emit, context.signal);
  const index = planned.tables.flatMap(({ indexes }) => indexes).find(({ oid }) => oid === standing.oid);
  const uses = new Map(
    workload.statements.map(({ id }) => [
      id,
      (accesses.get(id) ?? []).filter(
        ({ table }) => table.schema === standing.table.schema && table.name === standing.table.name,
      ),
    ]),
  );
  const using = workload.statements.filter(({ id }) => (uses.get(id) ?? []).length > 0);
  const inquiry = {
    standing,
    statementIds: using.map(({ id }) => id),
    writeIds: using
      .filter(({ id, verb }) => verb !== "select" && (uses.get(id) ?? []).some(({ written }) => written.length > 0))
      .map(({ id }) => id),
    controlIds: workload.statements
      .filter(({ id }) => (accesses.get(id) ?? []).length > 0 && (uses.get(id) ?? []).length === 0)
      .map(({ id }) => id),
    unread: workload.declined.map(({ label, reason }) => `${label}: ${reason}`),
  };
  // Its table is used by no statement of the workload.
  if (index === undefined) return { ...inquiry, objection: null, planned: explainable.length };
  context.emit({ kind: "step", text: `planning ${String(explainable.length)} statements without it` });
  const planner = await openPlanner({ whatIf: context.settings.whatIf, source }, planned);
  try {
    if (!planner.canHide) {
      const reason = `${planner.name} cannot plan as if an index were not there`;
      return { ...inquiry, objection: { code: "not_plannable", reason }, planned: null };
    }
    const statements = explainable.map(({ statement }) => statement);
    const { drop, declined, unplanned } = await selectConfiguration({
      statements,
      candidates: [],
      costs: createCostModel({ planner, statements, accesses, hypothetical: [] }),
      budgetBytes: 1,
      minimumShare: 0,
      drops: [{ index, table: standing.table, code: "asked_for", reason: "somebody asked for it" }],
      clock: context.clock,
      signal: context.signal,
    });
    const blind = unplanned.filter(({ statementId }) => inquiry.statementIds.includes(statementId));
    const objection =
      drop.length === 0
        ? harmed(standing, declined, (id) => workload.statements.find((one) => one.id === id)?.label ?? id)
        : blind.length === 0
          ? null
          : {
              code: "not_plannable",
              reason: `${String(blind.length)} statements on ${quoteName(standing.table)} cannot be planned, so that nobody knows whether they need it: ${blind[0]?.reason ?? ""}`,
            };
    return { ...inquiry, objection, planned: statements.length - unplanned.length };
  } finally {
    await planner.close();
  }
};

const harmed = (
  { name }: StandingIndex,
  declined: readonly DeclinedCandidate[],
  labelOf: (id: string) => string,
): { readonly code: string; readonly reason: string } => {
  const one = declined.find(({ code }) => code === "drop_harms_statement");
  const named = (one?.statementIds ?? []).slice(0, 3).map(labelOf);
  return {
    code: "drop_harms_statement",
    reason: `${one?.reason ?? `dropping ${name} would harm`}: ${named.join(", ")}`,
  };
};

/** Who else may need it: an extension that manages the table, replicas. */
const objectionOfOthers = async (
  session: Session,
  replicas: readonly Session[],
  { oid, name, tableOid }: StandingIndex,
): Promise<{ readonly code: string; readonly reason: string } | null> => {
  const managedBy = await readManagedBy(session, tableOid);
  if (managedBy !== null) return { code: "managed", reason: `${managedBy} manages its table` };
  const { standbys } = await readReplicationLag(session);
  if (standbys > replicas.length) {
    return {
      code: "replicas_unknown",
      reason: `${String(standbys)} replicas follow this server, and whether they use ${name} is counted there: name each with --replica-url`,
    };
  }
  for (const replica of replicas) {
    const scans = (await readScans(replica)).get(oid) ?? 0;
    if (scans > 0)
      return { code: "used_on_replica", reason: `${name} was scanned ${String(scans)} times on a replica` };
  }
  return null;
};
