import type { Deployment, Experiment } from "../domain/index.ts";
import type { Session } from "../postgres/index.ts";
import { chooseExposure } from "../verification/index.ts";
import { canaryOf } from "./experiments.ts";
import { SILENT_MS } from "./follow.ts";
import type { Rollout } from "./rollout-context.ts";
import type { PilotContext } from "./target.ts";
import { tenantsFor } from "./tenants.ts";

/**
 * Chooses for each approved deployment how its traffic will be split, and lays down the canaries; nothing is built. Each choice that is not the
 * gate is recorded with its reason.
 */
export const beginCanaries = async (
  context: PilotContext,
  { store, clock, actor }: Rollout,
  /** Observes the target. */
  session: Session,
  approved: readonly Deployment[],
): Promise<{ readonly canaries: readonly Experiment[]; readonly others: readonly Deployment[] }> => {
  if (context.settings.canary === "off") return { canaries: [], others: approved };
  const followers = await store.experiments.followers(SILENT_MS);
  const tried = new Set((await store.experiments.list()).map(({ treatment }) => treatment.deploymentId));
  const canaries: Experiment[] = [];
  const others: Deployment[] = [];
  for (const deployment of approved) {
    const [found] = await session.query<{ partitioned: boolean }>(
      "select relkind = 'p' as partitioned from pg_catalog.pg_class where oid = $1",
      [deployment.tableOid],
    );
    const busy = (await store.experiments.open()).map(({ table }) => table);
    const exposure = chooseExposure(deployment, {
      followers,
      tenants:
        deployment.intended === null
          ? null
          : await tenantsFor(session, deployment.intended, context.settings.canaryShare),
      isPartitioned: found?.partitioned === true,
      busy,
      wasTried: tried.has(deployment.id),
    });
    if (exposure.kind === "later") continue;
    if (exposure.kind !== "time") {
      const by = (await store.deployments.approvedBy(deployment.id)) ?? actor;
      const tenants = exposure.kind === "tenant" ? exposure.tenants : null;
      canaries.push(await canaryOf(context, store, session, deployment, tenants, by));
    } else others.push(deployment);
    if (deployment.kind !== "create" || exposure.kind === "gate") continue;
    await store.decisions.record({
      at: clock.now(),
      subject: "expose",
      deploymentId: deployment.id,
      rule: "verification.choose_exposure",
      outcome: exposure.kind,
      code: exposure.kind,
      reason: `judged before and after${exposure.kind === "tenant" ? `, first for tenants of ${exposure.tenants.column} up to ${exposure.tenants.upTo}` : ""}, because ${exposure.because}`,
      inputs: { followers: followers.length, table: deployment.table },
    });
  }
  return { canaries, others };
};
