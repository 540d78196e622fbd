import pg from "pg";
import { afterEach, describe, expect, test } from "vitest";
import { type Settings, defaults } from "../../src/config/index.ts";
import type { Deployment, Experiment } from "../../src/domain/index.ts";
import {
  type Conducted,
  conductExperiments,
  createAbExperiment,
  type PilotContext,
  verify,
} from "../../src/pilot/index.ts";
import { beginCanaries } from "../../src/pilot/canary.ts";
import { openActing, withSession } from "../../src/pilot/target.ts";
import { openRollout } from "../../src/pilot/rollout-context.ts";
import { openSession } from "../../src/postgres/index.ts";
import { fingerprintOf, loadParser } from "../../src/sql/index.ts";
import { on } from "../rollout/fixtures/rollout.ts";
import { until, withTarget } from "../rollout/fixtures/target.ts";
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
  canaryMaxMs: 600_000,
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
      select pg_stat_statements_reset();
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
    // What the server counted of each arm, by itself; on a busy machine so short an experiment may have too few blocks that lie within its windows.
    expect(conducted?.experiment.verdict?.pages?.change ?? -1).toBeLessThan(-0.5);
    expect(await wired.indexes()).toEqual([
      { name: "orders_customer_id_idx", valid: true, comment: expect.any(String) as string },
    ]);
    expect(application.errors).toEqual([]);
  });

  test("whose evidence is voided when everybody has it goes back to half, and is shown to be better again", async () => {
    const { wired, pilot, url } = await open();
    const deployment = await wired.approved(on("orders", "customer_id"));
    application = await startApplication(url, target().server.url(wired.database), [byCustomer]);
    await begin(pilot, deployment);
    // Somebody's DDL, say, noticed late.
    const voided = until(
      "everybody has it, and what was seen before is voided",
      async () =>
        (
          await wired.admin.query(
            `insert into indexpilot.experiment_void (experiment_id, from_at, to_at, reason)
             select id, created_at, stage_at, 'a test' from indexpilot.experiment where state = 'running' and stage = 2 returning 1`,
          )
        ).length > 0,
      60_000,
    );
    const conducting = conductAll(pilot);
    await voided;
    const [conducted] = await conducting;
    expect(conducted?.experiment).toMatchObject({ state: "decided", winner: "treatment", stage: 2 });
    // What is better by little may be in doubt, and shown again, more than once.
    const stages = (await wired.decisions()).map(({ code }) => code).filter((code) => code.endsWith("_stage"));
    expect(stages.slice(0, 4)).toEqual(["next_stage", "next_stage", "previous_stage", "next_stage"]);
    expect(stages.at(-1)).toBe("next_stage");
    expect(application.errors).toEqual([]);
  });

  test("that lures the planner is taken back, and the harmed statement is named", async () => {
    const { wired, pilot, url } = await open();
    // All that is rare is old, which no statistics tell: in order of time, nearly everything is read, from all over the table, before the first is found.
    await wired.admin.query(`
      update orders set created_at = now() - (id * 7919 % 60000) * interval '1 s',
                        note = case when id * 7919 % 60000 > 57000 then 'rare' else 'common' end`);
    await wired.admin.query("vacuum full analyze orders");
    const harmed = "select id from orders where note = 'rare' order by created_at desc limit 1";
    const latest = "select id, note from orders order by created_at desc limit 5";
    const none = (): readonly unknown[] => [];
    const deployment = await wired.approved(on("orders", "created_at"));
    application = await startApplication(url, target().server.url(wired.database), [
      { sql: harmed, values: none },
      { sql: latest, values: none },
    ]);
    await begin(pilot, deployment);
    const [conducted] = await conductAll(pilot);
    expect(conducted?.experiment).toMatchObject({ state: "decided", winner: null, verdict: { outcome: "worse" } });
    const fingerprint = fingerprintOf(harmed);
    expect(conducted?.reason).toContain(fingerprint);
    expect((await wired.decisions()).at(-1)).toMatchObject({ subject: "experiment", outcome: "worse" });
    expect(await wired.indexes()).toEqual([]);
    expect((await wired.context.store.deployments.get(deployment.id))?.state).toBe("declined");
    expect(application.errors).toEqual([]);
  });

  // The rest depends on no version.
  if (major !== 18) return;

  test("that nobody uses is removed, and is called neither better nor worse", async () => {
    const { wired, pilot, url } = await open();
    const deployment = await wired.approved(on("orders", "note"));
    application = await startApplication(url, target().server.url(wired.database), [byCustomer]);
    await begin({ ...pilot, settings: { ...settings, canaryMaxMs: 5_000 } }, deployment);
    const [conducted] = await conductAll(pilot);
    expect(["undecided", "equivalent"]).toContain(conducted?.experiment.verdict?.outcome);
    expect(conducted?.experiment).toMatchObject({ winner: null, deciding: [] });
    expect(await wired.indexes()).toEqual([]);
  });

  test("is not begun where nobody follows: its index is judged before and after, and the record says why", async () => {
    const { wired, pilot } = await open();
    const deployment = await wired.approved(on("orders", "note", "customer_id"));
    expect(await begin(pilot, deployment)).toEqual([]);
    expect((await wired.decisions()).at(-1)).toMatchObject({
      subject: "expose",
      outcome: "time",
      reason: expect.stringContaining("no process of the application follows experiments") as string,
    });
  });

  test("of tenants, where nobody follows, serves some of them first, and is judged when everybody has it", async () => {
    const { wired, pilot: usual, url } = await open();
    // None of the values that this seed draws for the statement is of a tenant that has the index.
    const pilot = { ...usual, settings: { ...settings, seed: 2 } };
    const deployment = await wired.approved(on("orders", "customer_id"));
    const client = new pg.Client(url);
    await client.connect();
    const ended = new AbortController();
    const traffic = (async () => {
      for (let i = 0; !ended.signal.aborted; i += 1) await client.query(byCustomer.sql, [(i * 7) % 5000]);
    })();
    try {
      while (
        (await wired.admin.query("select from pg_stat_statements where query = $1", [byCustomer.sql])).length === 0
      ) {
        await wired.admin.query("select pg_sleep(0.05)");
      }
      const [canary] = await begin(pilot, deployment);
      expect(canary).toMatchObject({ exposure: "tenant", treatment: { gate: { column: "customer_id" } } });
      const [conducted] = await conductAll(pilot);
      expect(conducted).toMatchObject({
        experiment: { winner: "treatment" },
        reason: expect.stringContaining("nothing is worse for the tenants that have it") as string,
      });
      expect((await wired.indexes()).map(({ name }) => name)).toEqual(["orders_customer_id_idx"]);
      // Its verdict is a matter of minutes on a busy machine; that it is looked for, with what was observed before anybody had it, is not.
      const { verdicts } = await verify(pilot, { actor: { name: "ann", consents: true }, blockMs: 150, waitMs: 3_000 });
      expect(verdicts[0]).toMatchObject({ deployment: { id: deployment.id }, verdict: { exposure: "time" } });
    } finally {
      ended.abort();
      await traffic;
      await client.end();
    }
    const built = (await wired.context.store.deployments.list()).find(({ intended }) => intended?.gate !== undefined);
    expect(built?.definition).toMatch(/WHERE \(customer_id <= \d+\)/);
  });

  test("whose application went away is built for everybody, to be judged before and after", async () => {
    const { wired, pilot, url } = await open();
    const deployment = await wired.approved(on("orders", "customer_id"));
    application = await startApplication(url, target().server.url(wired.database), [byCustomer]);
    const [canary] = await begin(pilot, deployment);
    await application.stop();
    application = null;
    const [conducted] = await conductAll({ ...pilot, settings: { ...settings, canaryPatienceMs: 1_000 } });
    expect(conducted?.experiment).toMatchObject({ id: canary?.id, state: "stopped", verdict: null });
    expect(await wired.indexes()).toEqual([]);
    expect((await wired.context.store.deployments.get(deployment.id))?.state).toBe("approved");
    expect(await begin(pilot, deployment)).toEqual([]);
    expect((await wired.decisions()).at(-1)?.reason).toContain("its canary could not run");
  });

  test("and two definitions side by side: the planted better one is named and serves everybody", async () => {
    const { wired, pilot, url } = await open();
    application = await startApplication(url, target().server.url(wired.database), [byCustomer]);
    await createAbExperiment(pilot, {
      table: { schema: "public", name: "orders" },
      control: on("orders", "note"),
      treatment: on("orders", "customer_id"),
      treatmentShare: 0.5,
      actor: "ann",
    });
    const [conducted] = await conductAll(pilot);
    expect(conducted?.experiment).toMatchObject({ state: "decided", winner: "treatment" });
    expect((await wired.indexes()).map(({ name }) => name)).toEqual(["orders_customer_id_idx"]);
    expect(application.errors).toEqual([]);
  });

  test("and two definitions that do the same are called equivalent, and neither is kept", async () => {
    const { wired, pilot, url } = await open();
    application = await startApplication(url, target().server.url(wired.database), [byCustomer]);
    await createAbExperiment(pilot, {
      table: { schema: "public", name: "orders" },
      control: on("orders", "customer_id", "id"),
      treatment: on("orders", "customer_id", "created_at"),
      treatmentShare: 0.5,
      margin: 0.5,
      // The one time in twenty that equal arms may be told apart is no reason to fail here.
      alpha: 0.002,
      actor: "ann",
    });
    const [conducted] = await conductAll(pilot);
    expect(conducted?.experiment).toMatchObject({ state: "decided", winner: null, verdict: { outcome: "equivalent" } });
    expect(await wired.indexes()).toEqual([]);
  });
});
