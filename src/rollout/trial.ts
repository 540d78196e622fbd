import type { Deployment, TableName } from "../domain/index.ts";
import { quoteName, renderProveIdle, type Session } from "../postgres/index.ts";
import { briefly } from "./briefly.ts";
import { askConsent, leftoverPatienceOf, lockBudgetOf, type RolloutContext, YIELD_MS } from "./context.ts";
import { whyNotDrop } from "./drop-standing.ts";
import { describeSqlState } from "./reasons.ts";
import { readStanding } from "./standing.ts";
import { readTableName } from "./statements.ts";
import { advance } from "./transitions.ts";

/** How the beginning or the end of a trial ended. */
export type TrialOutcome =
  | { readonly kind: "done"; readonly deployment: Deployment }
  | { readonly kind: "refused"; readonly code: string; readonly reason: string; readonly retryAt: Date | null };

const refused = (code: string, reason: string, retryAt: Date | null = null): TrialOutcome => ({
  kind: "refused",
  code,
  reason,
  retryAt,
});

const PAUSE_MS = 500;

/** Settings of a table that nobody needs to have set; resetting one that is not set changes nothing, and tells every session to plan anew. */
const options = ["vacuum_truncate", "toast_tuple_target", "parallel_workers", "fillfactor"] as const;

const unsetOption = async (session: Session, tableOid: number): Promise<string | null> => {
  const [row] = await session.query<{ set: string[] }>(
    "select coalesce(reloptions, '{}') as set from pg_catalog.pg_class where oid = $1",
    [tableOid],
  );
  return options.find((option) => row?.set.some((one) => one.startsWith(`${option}=`)) !== true) ?? null;
};

/**
 * Lets the planner see an index or not. Writes keep it up all the same, so that it is there again in a moment. Only a superuser may write to pg_index.
 * Locks: SHARE UPDATE EXCLUSIVE on the table for two catalogue entries, or nothing where somebody has it; reads and writes go on.
 */
const setVisible = async (
  context: RolloutContext,
  table: TableName,
  { tableOid, indexOid }: Pick<Deployment, "tableOid" | "indexOid">,
  visible: boolean,
): Promise<string | null> => {
  const { build, clock, signal } = context;
  const option = await unsetOption(build, tableOid);
  const statements = [
    renderProveIdle(table),
    `update pg_catalog.pg_index set indisvalid = ${String(visible)} where indexrelid = ${String(Number(indexOid))} and indisready and indislive`,
    ...(option === null ? [] : [`alter table ${quoteName(table)} reset (${option})`]),
  ];
  const started = clock.monotonicMs();
  for (;;) {
    const brief = await briefly(build, statements, lockBudgetOf(context) / 2);
    if (brief.kind === "done") return null;
    const isOver = clock.monotonicMs() - started + PAUSE_MS > leftoverPatienceOf(context);
    if (isOver || signal?.aborted === true) return describeSqlState(brief.sqlState);
    await clock.sleep(PAUSE_MS, signal).catch(() => undefined);
  }
};

/**
 * Begins the trial of an approved drop, or goes on with one that a killed process had begun: the planner does not see the index any more. Idempotent.
 * @param until when it may be dropped, if nothing is worse
 */
export const hideIndex = async (
  context: RolloutContext,
  approved: Deployment,
  until: Date | null,
): Promise<TrialOutcome> => {
  const { build, actor, clock } = context;
  let deployment = approved;
  const [role] = await build.query<{ superuser: boolean }>(
    "select rolsuper as superuser from pg_catalog.pg_roles where rolname = current_user",
  );
  if (role?.superuser !== true) {
    return refused("superuser_needed", "only a superuser may hide an index from the planner: drop it without a trial");
  }
  const standing = deployment.indexOid === null ? null : await readStanding(build, deployment.indexOid);
  if (standing === null) return refused("index_gone", "somebody dropped it");
  const objection = whyNotDrop(deployment, standing);
  if (objection !== null) return refused(objection.code, objection.reason);
  const answer = await askConsent(context, "drop index", deployment);
  if (answer.kind === "refused") return answer;
  if (deployment.state === "approved") {
    const begun = await advance(context, deployment, "hide", {
      actor,
      detail: { until: until?.toISOString() ?? null },
    });
    if (begun === null) return refused("state_changed", "another process took this deployment up");
    deployment = begun;
  }
  const problem = await setVisible(context, standing.table, deployment, false);
  if (problem !== null) {
    const later = new Date(clock.now().getTime() + YIELD_MS);
    return refused("table_locked", `${problem}; the next start goes on with it`, later);
  }
  const checked = await advance(context, deployment, "check", { actor });
  return { kind: "done", deployment: checked ?? deployment };
};

/** Ends a trial: the planner sees the index again. Idempotent, and needs no permit: it takes nothing away. */
export const showIndex = async (
  context: RolloutContext,
  deployment: Deployment,
  reason: string,
): Promise<TrialOutcome> => {
  const { build, actor, clock } = context;
  const table = await readTableName(build, deployment.tableOid);
  const problem = table === null ? null : await setVisible(context, table, deployment, true);
  if (problem !== null) {
    const later = new Date(clock.now().getTime() + YIELD_MS);
    return refused("table_locked", problem, later);
  }
  const shown = await advance(context, deployment, "show", { actor, detail: { reason } });
  return shown === null
    ? refused("state_changed", "another process took this deployment up")
    : { kind: "done", deployment: shown };
};

/** When a trial may end with a drop; null where it was not said. */
export const trialEnd = async ({ store }: RolloutContext, { id }: Deployment): Promise<Date | null> => {
  const hidden = (await store.deployments.history(id)).find(({ event }) => event === "hide");
  const until = hidden?.detail["until"];
  return typeof until === "string" ? new Date(until) : null;
};

/**
 * At every start: goes on with a trial whose process was killed before the index was hidden, and ends one that somebody ended by hand.
 * @returns null where there is nothing to do
 */
export const takeUpTrial = async (context: RolloutContext, deployment: Deployment): Promise<TrialOutcome | null> => {
  const { build, store } = context;
  const standing = deployment.indexOid === null ? null : await readStanding(build, deployment.indexOid);
  if (standing?.valid === false) return null;
  const wasHidden = (await store.deployments.history(deployment.id)).some(({ event }) => event === "check");
  if (standing !== null && !wasHidden) return hideIndex(context, deployment, null);
  return showIndex(context, deployment, "somebody ended the trial by hand");
};
