import { randomUUID } from "node:crypto";
import { type Deployment, type Finding, tableId } from "../domain/index.ts";
import type { IndexJudgement } from "../maintenance/index.ts";
import { openSession, quoteName, type Session } from "../postgres/index.ts";
import { advance, objectionToDrop, proposeDrop, readStanding, type StandingIndex } from "../rollout/index.ts";
import type { Store } from "../store/index.ts";
import { recentlyDeclinedDrops, withoutRecentlyRolledBack } from "./cool-down.ts";
import { isOwn, rationaleOf } from "./drop.ts";
import type { DropReport } from "./approved-drops.ts";
import type { BuildReport } from "./carry-out.ts";
import { type DropInquiry, inquireDrops, isUnanswerable, objectionOfManager } from "./drop-inquiry.ts";
import { planForeignKeyIndexes } from "./foreign-key-indexes.ts";
import type { HealthReport } from "./health.ts";
import { proposalOf, proposePlan, withStandingConsent } from "./proposal.ts";
import { withReplicas } from "./replicas.ts";
import { mayBeBuilt } from "./modes.ts";
import { rollOut } from "./standing.ts";
import { type PilotContext, readStore, withSession, withWritableStore } from "./target.ts";

export interface DeclinedChange {
  readonly finding: Finding;
  readonly name: string;
  readonly code: string;
  readonly reason: string;
}

export interface FoundChanges {
  /** What waits for a person now, or was approved by nobody's word; in a dry run also what would. */
  readonly proposals: readonly Deployment[];
  readonly declined: readonly DeclinedChange[];
}

/** So many drops wait at once, the largest: a person has to read them. */
const MOST_WAITING = 20;

const droppable: ReadonlySet<string> = new Set<Finding>(["unused", "redundant", "invalid"]);
const findingOf = ({ standing }: IndexJudgement): Finding | null =>
  droppable.has(standing) ? (standing as Finding) : null;

interface Look {
  readonly context: PilotContext;
  /** Observes the target. */
  readonly session: Session;
  readonly report: HealthReport;
  /** Null in a dry run, and where there is none. */
  readonly store: Store | null;
  readonly actor: string;
  readonly deployments: readonly Deployment[];
}

interface ToDrop {
  readonly judgement: IndexJudgement;
  readonly finding: Finding;
  readonly standing: StandingIndex;
}

/** Sorts what might go by what is known without asking anybody. */
const sortDrops = async ({
  context,
  session,
  report,
  deployments,
}: Look): Promise<{ readonly toDrop: readonly ToDrop[]; readonly declined: readonly DeclinedChange[] }> => {
  const cooling = recentlyDeclinedDrops(deployments, context);
  const pending = new Set(
    deployments
      .filter(({ kind, state }) => kind === "drop" && ["proposed", "approved", "trying", "dropping"].includes(state))
      .map(({ indexOid }) => indexOid),
  );
  const toDrop: ToDrop[] = [];
  const declined: DeclinedChange[] = [];
  // The largest first, as the report has them.
  for (const { judgement } of report.indexes) {
    const finding = findingOf(judgement);
    if (finding === null || pending.has(judgement.oid)) continue;
    const name = quoteName(judgement);
    const decline = (code: string, reason: string): void => {
      declined.push({ finding, name, code, reason });
    };
    const cooled = cooling.get(judgement.oid);
    if (!mayBeBuilt(judgement.table, context.settings)) decline("mode", "the table's mode lets nothing be changed");
    else if (deployments.some((one) => isOwn(one, judgement.oid)))
      decline("ours", `IndexPilot built it: \`indexpilot rollback ${name}\` takes it back`);
    else if (cooled !== undefined) {
      decline(
        "cool_down",
        `it was to be dropped, and stayed, on ${cooled.updatedAt.toISOString()}: it is not proposed again so soon`,
      );
    } else {
      const standing = await readStanding(session, judgement.oid);
      if (standing !== null) toDrop.push({ judgement, finding, standing });
    }
  }
  return { toDrop, declined };
};

/** Asks about all of them together; where that cannot be asked at all, that is what speaks against each. */
const inquire = async (
  { context, session }: Look,
  toDrop: readonly ToDrop[],
): Promise<
  ReadonlyMap<number, DropInquiry | { readonly objection: { readonly code: string; readonly reason: string } }>
> => {
  if (toDrop.length === 0) return new Map();
  const { seed } = context.settings;
  const standings = toDrop.map(({ standing }) => standing);
  try {
    const inquiries = await withReplicas(context.replicas ?? [], session, (replicas) =>
      inquireDrops(context, session, replicas, standings, { observeMs: null, seed }),
    );
    return new Map(inquiries.map((one) => [one.standing.oid, one]));
  } catch (error) {
    if (!isUnanswerable(error)) throw error;
    const objection = { code: error.code, reason: `nobody knows who needs it: ${error.message}` };
    return new Map(standings.map(({ oid }) => [oid, { objection }]));
  }
};

/** Keeps a refusal with what it rests on. */
const refuse = async ({ store, context }: Look, declined: DeclinedChange): Promise<DeclinedChange> => {
  await store?.decisions.record({
    at: context.clock.now(),
    subject: "refuse",
    deploymentId: null,
    rule: "pilot.findings",
    outcome: "refused",
    code: declined.code,
    reason: `${declined.name}: ${declined.reason}`,
    inputs: { finding: declined.finding, index: declined.name },
  });
  return declined;
};

/** Whether a look finds what a proposal was made for. */
const isStillFound = (
  { indexes, missingForeignKeyIndexes }: HealthReport,
  { indexOid, intended }: Deployment,
): boolean =>
  intended === null
    ? indexes.some(({ judgement }) => judgement.oid === indexOid && findingOf(judgement) !== null)
    : missingForeignKeyIndexes.some(
        ({ table, columns }) =>
          tableId(table) === tableId(intended.table) &&
          columns.every((column) => intended.keys.some((key) => key.column === column)),
      );

const findDrops = async (look: Look): Promise<FoundChanges> => {
  const { context, session, report, store, actor, deployments } = look;
  const proposals = deployments.filter(
    (one) => one.kind === "drop" && one.state === "proposed" && isStillFound(report, one),
  );
  const { toDrop, declined } = await sortDrops(look);
  // What no query can use, no query needs.
  const inquiries = await inquire(
    look,
    toDrop.filter(({ finding }) => finding !== "invalid"),
  );
  const refused: DeclinedChange[] = [];
  for (const { judgement, finding, standing } of toDrop) {
    const name = quoteName(judgement);
    const inquiry = inquiries.get(standing.oid);
    const objection =
      finding === "invalid"
        ? (objectionToDrop(standing, { debris: true }) ?? (await objectionOfManager(session, standing.tableOid)))
        : (inquiry?.objection ?? null);
    if (objection !== null) {
      refused.push(await refuse(look, { finding, name, ...objection }));
      continue;
    }
    if (proposals.length >= MOST_WAITING) {
      const reason = `${String(MOST_WAITING)} others wait already, and would free more`;
      refused.push({ finding, name, code: "enough", reason });
      continue;
    }
    const rationale =
      inquiry !== undefined && "standing" in inquiry
        ? rationaleOf(inquiry, judgement.reason)
        : { statementIds: [], costBefore: null, costAfter: null, reason: judgement.reason };
    const proposed = proposeDrop({
      id: randomUUID(),
      standing,
      rationale: { ...rationale, finding },
      now: context.clock.now(),
    });
    await store?.deployments.insert(proposed, { event: "propose", actor });
    proposals.push(proposed);
  }
  return { proposals, declined: [...declined, ...refused] };
};

/** Ends what waits and is not found any more: it is used again, or gone. What a person approved stands; it is asked about again before it is dropped. */
const supersede = async ({ context, report, deployments, actor }: Look, store: Store): Promise<void> => {
  for (const one of deployments) {
    const { finding } = one.rationale;
    if (one.state !== "proposed" || finding === undefined || isStillFound(report, one)) continue;
    const detail = {
      code: "superseded",
      reason: `the last look does not find it any more (${finding.replace("_", " ")})`,
    };
    await advance({ store, clock: context.clock }, one, "decline", { actor, detail });
  }
};

const findCreates = async (look: Look): Promise<FoundChanges> => {
  const { context, session, report, store, actor } = look;
  const { plan, declined } = await planForeignKeyIndexes(context, session, report.missingForeignKeyIndexes);
  const refused: DeclinedChange[] = [];
  for (const one of declined) {
    const { code } = one;
    // What nothing was asked about need not be remembered.
    const made = { finding: "foreign_key" as const, ...one };
    refused.push(code === "mode" || code === "no_deletes" ? made : await refuse(look, made));
  }
  if (plan === null) return { proposals: [], declined: refused };
  if (store === null) {
    const wanted = plan.create.map((planned) => proposalOf(plan, planned, context.clock.now()));
    return { proposals: wanted, declined: refused };
  }
  const wanted = await withoutRecentlyRolledBack(store, plan.create, context);
  const deciding = { store, clock: context.clock, actor };
  const supersedes = ({ state, rationale }: Deployment): boolean =>
    state === "proposed" && rationale.finding === "foreign_key";
  const proposals: Deployment[] = [];
  for (const proposal of await proposePlan(deciding, plan, wanted, supersedes)) {
    proposals.push(await withStandingConsent(deciding, proposal, context.settings));
  }
  return { proposals, declined: refused };
};

/** Carries out what was found by such a look and approved since. @throws IndexPilotError `refused` where another process has the build lock */
export const carryOutFindings = async (context: PilotContext): Promise<readonly (BuildReport | DropReport)[]> => {
  const isFinding = ({ rationale }: Deployment): boolean => rationale.finding !== undefined;
  const approved = await readStore(context, (store) => store.deployments.list({ states: ["approved"] }));
  if (approved?.some(isFinding) !== true) return [];
  const { builds, drops } = await rollOut(context, isFinding);
  return [...builds, ...drops];
};

/**
 * Makes proposals of what a look at all indexes found: what is unused, redundant or left invalid to be dropped, indexes that foreign keys lack to be created. Each is asked
 * about before: what the planner would do without it, or with it. They wait for a person like any other; only what is to be created may need none.
 * @param store whether to store them; otherwise what would be proposed is only told
 * @throws IndexPilotError as `openSession` and `withReplicas` do
 */
export const proposeFindings = (
  context: PilotContext,
  report: HealthReport,
  { actor, store: isStored }: { readonly actor: string; readonly store: boolean },
): Promise<FoundChanges> =>
  withSession(openSession(context.observe, "observe"), async (session) => {
    const look = (deployments: readonly Deployment[], store: Store | null): Look => ({
      context,
      session,
      report,
      store,
      actor,
      deployments,
    });
    const find = async (one: Look): Promise<FoundChanges> => {
      const [drops, creates] = [await findDrops(one), await findCreates(one)];
      return {
        proposals: [...drops.proposals, ...creates.proposals],
        declined: [...drops.declined, ...creates.declined],
      };
    };
    if (!isStored) return find(look((await readStore(context, (store) => store.deployments.list())) ?? [], null));
    return withWritableStore(context, async (store) => {
      const one = look(await store.deployments.list(), store);
      await supersede(one, store);
      return find(one);
    });
  });
