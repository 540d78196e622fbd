import { afterEach, describe, expect, test } from "vitest";
import { type Settings, defaults } from "../../src/config/index.ts";
import type { Deployment, Experiment } from "../../src/domain/index.ts";
import { type Conducted, conductExperiments, type PilotContext } from "../../src/pilot/index.ts";
import { beginCanaries } from "../../src/pilot/canary.ts";
import { openActing, withSession } from "../../src/pilot/target.ts";
import { openRollout } from "../../src/pilot/rollout-context.ts";
import { openSession } from "../../src/postgres/index.ts";
import { loadParser } from "../../src/sql/index.ts";
import { on } from "../rollout/fixtures/rollout.ts";
import { withTarget } from "../rollout/fixtures/target.ts";
import { type Application, type Call, startApplication } from "./application.ts";
import { openWired, type Wired } from "./wired.ts";

const settings: Settings = {
  ...defaults,
  canary: "on",
  mode: "autopilot",
  blockMs: 150,
  baselineMs: 900,
  canaryCalls: 20,
  canaryPatienceMs: 5_000,
  maintenanceWindows: [],
};

const byCustomer: Call = {
  sql: "select count(*) from orders where customer_id = $1",
  values: (random) => [Math.floor(random() * 5000)],
};

describe.each([15, 18])("on PostgreSQL %i, a canary", (major) => {
  const target = withTarget(major);
  let application: Application | null = null;
  afterEach(async () => {
    await application?.stop();
    application = null;
  });

  const open = async (): Promise<{ readonly wired: Wired; readonly pilot: PilotContext; readonly url: string }> => {
    await loadParser();
    const wired = await openWired(target());
    await wired.admin.script(`
      create extension if not exists pg_stat_statements;
      insert into orders (customer_id, created_at, note) select 500 + i % 4500, now() - i * interval '1 s', 'n' || i % 7 from generate_series(1, 60000) i;
      grant select, insert, update, delete on all tables in schema public to nobody_special;
      grant usage on schema public to nobody_special;
      analyze;`);
    return { wired, pilot: { ...wired.pilot, settings }, url: target().server.url(wired.database, "nobody_special") };
  };

  const begin = async (pilot: PilotContext, deployment: Deployment): Promise<readonly Experiment[]> => {
    const acting = await openActing(pilot, { create: true, acceptInstallation: false });
    if (acting === null) throw new Error("no store");
    try {
      const rollout = await openRollout(pilot, acting, { name: "ann", consents: true }, pilot.settings);
      return await withSession(openSession(pilot.observe, "observe"), async (session) => {
        const { canaries } = await beginCanaries(pilot, rollout, session, [deployment]);
        return canaries;
      });
    } finally {
      await acting.close();
    }
  };

  const conductAll = (pilot: PilotContext, waitMs = 60_000): Promise<readonly Conducted[]> =>
    conductExperiments(pilot, { actor: { name: "ann", consents: true }, waitMs });

  test("that helps goes from a tenth to half to all, and its index serves everybody", async () => {
    const { wired, pilot, url } = await open();
    const deployment = await wired.approved(on("orders", "customer_id"));
    application = await startApplication(url, target().server.url(wired.database), [byCustomer]);
    const [canary] = await begin(pilot, deployment);
    expect(canary).toMatchObject({ state: "preparing", stages: [0.1, 0.5, 1] });
    const [conducted] = await conductAll(pilot);
    expect(conducted?.experiment).toMatchObject({ state: "decided", winner: "treatment", stage: 2 });
    expect(await wired.indexes()).toEqual([
      { name: "orders_customer_id_idx", valid: true, comment: expect.any(String) as string },
    ]);
    expect(application.errors).toEqual([]);
  });
});
