import { formatSize } from "../config/index.ts";
import type { Deployment } from "../domain/index.ts";
import type { Choice, DeclinedRebuild } from "../maintenance/index.ts";
import { openSession } from "../postgres/index.ts";
import { advance, objectionToReindex, readStanding } from "../rollout/index.ts";
import type { Store } from "../store/index.ts";
import { estimateBuildMs } from "./build-estimate.ts";
import { AUTOPILOT } from "./events.ts";
import { checkHealth, type HealthReport } from "./health.ts";
import { chooseFrom } from "./maintain.ts";
import { type Deciding, withStandingConsent } from "./proposal.ts";
import { proposeRebuild, rebuildTerms } from "./reindex.ts";
import { type PilotContext, withSession, withWritableStore } from "./target.ts";

export interface PredictedMaintenance {
  readonly report: HealthReport;
  /** What shall be rebuilt, in its order; what needs no person is approved already. */
  readonly proposals: readonly Deployment[];
  readonly declined: readonly DeclinedRebuild[];
}

/**
 * Looks at all indexes, remembers the look and what it forecasts, and stores what is bloated and worth a rebuild as proposals, within the limits of a run and in
 * tables whose mode lets them be changed. In mode autopilot they are approved. What was proposed before and is not chosen any more is declined; what a person
 * approved stands. Nothing is rebuilt.
 * @throws IndexPilotError as {@link checkHealth} does
 */
export const runPredictiveMaintenance = async (context: PilotContext): Promise<PredictedMaintenance> => {
  const { settings, clock } = context;
  const report = await checkHealth(context, { record: true, readBytes: settings.healthReadBytes });
  const { chosen, declined } = chooseFrom(report, settings);
  const proposed = await withWritableStore(context, (store) =>
    proposeChosen(context, { store, clock, actor: AUTOPILOT }, chosen),
  );
  return { report, proposals: proposed.proposals, declined: [...declined, ...proposed.declined] };
};

/** Rebuilds that nobody has begun, and whether a person stands behind one. */
const readOpen = async (store: Store): Promise<readonly { readonly one: Deployment; readonly byPerson: boolean }[]> => {
  const open = (await store.deployments.list({ states: ["proposed", "approved", "building"] })).filter(
    ({ kind }) => kind === "reindex",
  );
  return Promise.all(
    open.map(async (one) => {
      const approvedBy = one.state === "proposed" ? AUTOPILOT : await store.deployments.approvedBy(one.id);
      return { one, byPerson: approvedBy !== AUTOPILOT };
    }),
  );
};

const proposeChosen = async (
  context: PilotContext,
  deciding: Deciding,
  chosen: readonly Choice[],
): Promise<Omit<PredictedMaintenance, "report">> => {
  const { store, actor } = deciding;
  const open = await readOpen(store);
  const proposals: Deployment[] = [];
  const declined: DeclinedRebuild[] = [];
  await withSession(openSession(context.observe, "observe"), async (session) => {
    for (const { oid, name, bloat, sizeBytes, neededBytes } of chosen) {
      const earlier = open.find(({ one }) => one.replaces?.oid === oid);
      // What was begun is taken up as it is, and what a person has approved is theirs.
      if (earlier !== undefined && (earlier.one.state === "building" || earlier.byPerson)) continue;
      const standing = await readStanding(session, oid);
      // Dropped meanwhile.
      if (standing === null) continue;
      const impossible = objectionToReindex(standing);
      if (impossible !== null) {
        declined.push({ oid, name, code: "impossible", reason: impossible.reason });
        continue;
      }
      const planned = { standing, buildMs: await estimateBuildMs(session, store, standing) };
      const reason = `${(100 * bloat).toFixed(0)} % of it is bloat: ${formatSize(sizeBytes)} → ${formatSize(neededBytes)}`;
      const terms = rebuildTerms(planned, reason, { bloat, neededBytes });
      const revised =
        earlier === undefined || earlier.one.replaces === null
          ? null
          : await store.deployments.revise(earlier.one.id, {
              ...terms,
              replaces: { ...earlier.one.replaces, sizeBytes: standing.sizeBytes },
            });
      const proposal = revised ?? (await proposeRebuild(deciding, planned, terms));
      proposals.push(await withStandingConsent(deciding, proposal, context.settings));
    }
  });
  const kept = new Set(proposals.map(({ id }) => id));
  for (const { one, byPerson } of open) {
    if (kept.has(one.id) || byPerson || one.state === "building") continue;
    const reason = "it was never begun, and is not among those that a later look would rebuild";
    await advance(deciding, one, "decline", { actor, detail: { code: "superseded", reason } });
  }
  return { proposals, declined };
};
