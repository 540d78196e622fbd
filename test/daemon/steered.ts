import type { Deployment } from "../../src/domain/index.ts";
import { systemClock } from "../../src/runtime/index.ts";
import { on, openShop, type Shop } from "../rollout/fixtures/rollout.ts";
import { type Target, until } from "../rollout/fixtures/target.ts";

export const database = "shop";

/** A shop in which one index was approved and waits for a daemon, which has nothing else to do. */
export interface Steered extends Shop {
  readonly deployment: Deployment;
  /** As a person does. */
  consent(deployment: Deployment): Promise<void>;
  /** As the daemon connects. */
  readonly url: string;
  state(): Promise<string | undefined>;
  /** Until exactly its build is under way. */
  building(): Promise<void>;
  idle(): Promise<void>;
}

export const openSteered = async (target: Target): Promise<Steered> => {
  const shop = await openShop(target);
  await shop.admin.query("create extension pg_stat_statements");
  const { store } = shop.context;
  const deployment = await shop.approved(on("orders", "customer_id"));
  const consent = async ({ id }: Deployment): Promise<void> => {
    await shop.admin.query(
      `insert into indexpilot.deployment_event (deployment_id, at, from_state, to_state, event, actor, detail)
       values ($1, now(), 'proposed', 'approved', 'approve', 'ann', '{}')`,
      [id],
    );
  };
  await consent(deployment);
  const later = new Date(systemClock.now().getTime() + 3_600_000);
  for (const name of ["advise", "observe", "inspect", "expire"]) {
    await store.duties.save({ name, dueAt: later, endedAt: null, outcome: null, failures: 0 });
  }
  const count = async (): Promise<number> =>
    (await shop.admin.query("select from pg_stat_progress_create_index where relid = $1", [deployment.tableOid]))
      .length;
  return {
    ...shop,
    deployment,
    consent,
    url: target.server.url(database),
    state: async () => (await store.deployments.get(deployment.id))?.state,
    building: () => until("it is building", async () => (await count()) > 0, 60_000),
    idle: () => until("nothing builds", async () => (await count()) === 0),
  };
};
