import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { promisify } from "node:util";
import pg from "pg";
import { afterEach, describe, expect, test } from "vitest";
import { defaults, type Settings } from "../../src/config/index.ts";
import type { Experiment, ExperimentState, Outcome, VoidStretch } from "../../src/domain/index.ts";
import { intercept } from "../../src/driver/index.ts";
import { admitFollower } from "../../src/pilot/admit.ts";
import { decisionOn, judgeRecorded } from "../../src/pilot/experiment-results.ts";
import { canaryOf } from "../../src/pilot/experiments.ts";
import { keepGround } from "../../src/pilot/experiment-ground.ts";
import {
  type Conducted,
  conductExperiments,
  createAbExperiment,
  endAbExperiment,
  findRollback,
  followExperiments,
  getAbResults,
  type PilotContext,
  planReindex,
  resume,
  stop,
} from "../../src/pilot/index.ts";
import { advance } from "../../src/rollout/index.ts";
import { type Clock, systemClock } from "../../src/runtime/index.ts";
import { on, openContext } from "../rollout/fixtures/rollout.ts";
import { until, withTarget } from "../rollout/fixtures/target.ts";
import { openWired, type Wired } from "./wired.ts";

const settings: Settings = { ...defaults, canary: "on", mode: "autopilot", blockMs: 100, maintenanceWindows: [] };

describe("an experiment in which something goes wrong", () => {
  const target = withTarget(18);
  const closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  const open = async (): Promise<{ readonly wired: Wired; readonly pilot: PilotContext }> => {
    const wired = await openWired(target());
    return { wired, pilot: { ...wired.pilot, settings } };
  };

  const conduct = async (pilot: PilotContext, waitMs = 30_000): Promise<Conducted | undefined> =>
    (await conductExperiments(pilot, { actor: { name: "ann", consents: true }, waitMs }))[0];

  /** A canary as it is when its index stands and nobody has seen anything yet. */
  const standing = async ({ wired, pilot }: Awaited<ReturnType<typeof open>>): Promise<Experiment> => {
    const deployment = await wired.approved(on("orders", "customer_id"));
    const { store } = wired.context;
    const { id } = await canaryOf(pilot, store, wired.admin, deployment, null, "ann");
    // Nothing is built for nobody.
    const follower = { process: randomUUID(), application: "shop", role: "builder" };
    await store.experiments.sayFollowing({ ...follower, stands: { [id]: { share: 0, objection: null } } });
    const conducted = await conduct(pilot, 0);
    await store.experiments.endFollowing(follower.process);
    if (conducted === undefined) throw new Error("there is no canary");
    expect(conducted).toMatchObject({ reason: expect.stringContaining("the gates are closed") as string });
    return conducted.experiment;
  };

  const moved = async (
    { context: { store }, clock }: Wired,
    experiment: Experiment,
    state: ExperimentState,
    outcome: Outcome | null = null,
  ): Promise<Experiment> => {
    const { verdict } = await judgeRecorded(store, experiment, clock.now());
    const next = await store.experiments.advance(experiment, {
      state,
      stageAt: clock.now(),
      ...(outcome === null ? {} : { winner: "treatment", verdict: { ...verdict, outcome } }),
    });
    if (next === null) throw new Error("somebody else moved it");
    return next;
  };

  const follow = async (wired: Wired, clock: Clock = systemClock) => {
    class Client extends pg.Client {
      override query(...args: unknown[]): never {
        return Reflect.apply(super.query.bind(this), this, args) as never;
      }
    }
    const errors: Error[] = [];
    const following = await followExperiments(intercept({ Client }), {
      url: target().server.url(wired.database),
      everyMs: 20,
      clock,
      onError: (error) => errors.push(error),
    });
    closing.push(() => following.close());
    return { following, errors };
  };

  const names = async (wired: Wired): Promise<readonly string[]> => (await wired.indexes()).map(({ name }) => name);

  test("is not moved on where the record of that cannot be written, and no record is written of what did not happen", async () => {
    const opened = await open();
    const { wired, pilot } = opened;
    const { store } = wired.context;
    const experiment = await standing(opened);
    await wired.admin.script(`
      create function public.fails() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
      create trigger fails before insert on indexpilot.decision for each row execute function public.fails()`);
    const { id } = experiment;
    await expect(endAbExperiment(pilot, { id, actor: "ann", reason: "enough" })).rejects.toThrow("no");
    await wired.admin.query("drop trigger fails on indexpilot.decision");
    expect(await store.experiments.get(id)).toMatchObject({ state: "running", endReason: null });
    const decisions = await wired.decisions();
    const late = decisionOn(experiment, wired.clock.now(), { outcome: "worse", code: "worse", reason: "too late" });
    expect(await store.experiments.advance({ ...experiment, stage: 1 }, { state: "removing" }, late)).toBeNull();
    expect(await wired.decisions()).toEqual(decisions);
  });

  test("builds the winner's index again where the process that built it was killed", async () => {
    const opened = await open();
    const { wired, pilot } = opened;
    const experiment = await standing(opened);
    await moved(wired, experiment, "applying", "better");
    const plain = await wired.context.store.deployments.get(experiment.treatment.deploymentId ?? "");
    if (plain === null) throw new Error("there is no deployment for everybody");
    // Killed after its intention was written down, before the server heard of it.
    await advance(wired.context, plain, "begin", { actor: "ann" });
    const conducted = await conduct(pilot);
    expect(conducted?.experiment).toMatchObject({ state: "decided", winner: "treatment" });
    expect(await names(wired)).toEqual(["orders_customer_id_idx"]);
  });

  test("gives the winner's index the place of the one on trial, where the table has no room for both", async () => {
    const opened = await open();
    const { wired, pilot } = opened;
    await moved(wired, await standing(opened), "applying", "better");
    // Room for what one of them was expected to take.
    const budgetBytes = 100_000;
    const limits = { indexesPerTable: 1, budgetBytes, tableBudgetBytes: budgetBytes, schemaBudgetBytes: budgetBytes };
    const full = { ...pilot, settings: { ...settings, ...limits } };
    expect((await conduct(full))?.experiment.state).toBe("decided");
    expect(await names(wired)).toEqual(["orders_customer_id_idx"]);
  });

  test("has its time from when it runs, however long its index had to wait to be built", async () => {
    const opened = await open();
    const { wired } = opened;
    const laid = await standing(opened);
    const later = {
      ...wired.pilot,
      settings,
      clock: { ...systemClock, now: () => new Date(Date.now() + 2 * laid.maxMs) },
    };
    const running = await wired.context.store.experiments.advance(laid, {
      state: "running",
      stageAt: later.clock.now(),
    });
    expect(running).not.toBeNull();
    expect((await conduct(later, 0))?.experiment).toMatchObject({ state: "running", verdict: null });
    expect((await getAbResults(later, laid.id)).over).toBe(false);
  });

  test("whose index is rolled back or rebuilt by hand says to whom it belongs, and how to end that", async () => {
    const opened = await open();
    const { wired, pilot } = opened;
    const { number } = await standing(opened);
    const remedy = `\`indexpilot experiment stop ${String(number)}\``;
    await expect(findRollback(pilot, "orders_customer_id_gated")).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining(`on trial in experiment ${String(number)}`) as string,
      remedy: expect.stringContaining(remedy) as string,
    });
    expect((await planReindex(pilot, "orders_customer_id_gated")).impossible).toMatchObject({
      code: "on_trial",
      remedy: expect.stringContaining(remedy) as string,
    });
    expect(await names(wired)).toEqual(["orders_customer_id_gated"]);
  });

  test("whose index a person drops is broken off, and that index is not built for everybody", async () => {
    const opened = await open();
    const { wired, pilot } = opened;
    const experiment = await moved(wired, await standing(opened), "running");
    await wired.admin.query("drop index orders_customer_id_gated");
    const conducted = await conduct(pilot);
    expect(conducted?.experiment).toMatchObject({ state: "stopped", verdict: { outcome: "undecided" }, winner: null });
    expect(conducted?.experiment.endReason).toContain("orders_customer_id_gated, the index of the treatment, is gone");
    const plain = await wired.context.store.deployments.get(experiment.treatment.deploymentId ?? "");
    expect(plain?.state).toBe("declined");
    expect(await names(wired)).toEqual([]);
  });

  test("finds its index again that somebody rebuilt, and removes it in the end", async () => {
    const opened = await open();
    const { wired, pilot } = opened;
    const { id } = await moved(wired, await standing(opened), "running");
    await wired.admin.query("reindex table concurrently orders");
    expect((await conduct(pilot, 0))?.experiment.state).toBe("running");
    await wired.admin.query("reindex table concurrently orders");
    await endAbExperiment(pilot, { id, actor: "ann", reason: "enough" });
    expect((await conduct(pilot))?.experiment.state).toBe("stopped");
    expect(await names(wired)).toEqual([]);
  });

  test("whose index nobody can prove to be ours leaves it, says so, and lets others be conducted", async () => {
    const opened = await open();
    const { wired, pilot } = opened;
    const { id } = await standing(opened);
    await wired.admin.query("comment on index orders_customer_id_gated is 'mine'");
    await endAbExperiment(pilot, { id, actor: "ann", reason: "enough" });
    const conducted = await conduct(pilot, 0);
    expect(conducted?.experiment.state).toBe("removing");
    expect(conducted?.reason).toContain("orders_customer_id_gated");
    expect(await names(wired)).toEqual(["orders_customer_id_gated"]);
  });

  test.each([
    ["dropped", "preparing", "drop table orders", "is gone"],
    ["dropped", "running", "drop table orders", "is gone"],
    ["dropped", "applying", "drop table orders", "is gone"],
    ["renamed", "preparing", "alter table orders rename to sales", "is named public.sales now"],
    ["renamed", "applying", "alter table orders rename to sales", "is named public.sales now"],
  ] as const)("whose table is %s while it is %s is broken off, and leaves nothing", async (_, state, ddl, reason) => {
    const opened = await open();
    const { wired, pilot } = opened;
    const experiment = await standing(opened);
    if (state !== "preparing") await moved(wired, experiment, state, state === "applying" ? "better" : null);
    await wired.admin.query(ddl);
    const conducted = await conduct(pilot);
    expect(conducted?.experiment.endedAt).not.toBeNull();
    expect(conducted?.experiment.winner).toBeNull();
    expect(conducted?.experiment.endReason).toContain(reason);
    expect([...(await names(wired)), ...(await wired.indexes("sales")).map(({ name }) => name)]).toEqual([]);
    expect(await wired.context.store.deployments.list({ states: ["approved", "verifying"] })).toEqual([]);
  });

  test("is not conducted while everything is stopped, and no process states its gate", async () => {
    const opened = await open();
    const { wired, pilot } = opened;
    const experiment = await moved(wired, await standing(opened), "running");
    const { following } = await follow(wired);
    const drawn = (): number => following.running().length;
    await until("it is drawn", () => Promise.resolve(drawn() === 1));
    await stop(pilot, { actor: "ann", reason: "" });
    await until("it is drawn no more", () => Promise.resolve(drawn() === 0));
    const over = { ...pilot, clock: { ...systemClock, now: () => new Date(Date.now() + experiment.maxMs) } };
    expect(await conduct(over, 0)).toMatchObject({
      experiment: { state: "running" },
      reason: expect.stringContaining("ann stopped everything") as string,
    });
    await resume(pilot, { actor: "ann" });
    await until("it is drawn again", () => Promise.resolve(drawn() === 1));
  });

  test.each(["running", "applying"] as const)("is not drawn while it is %s and nobody conducts it", async (state) => {
    const opened = await open();
    const { wired, pilot } = opened;
    const { id } = await moved(wired, await standing(opened), state, state === "applying" ? "better" : null);
    const { following } = await follow(wired);
    const drawn = (): number => following.running().length;
    await until("it is drawn", () => Promise.resolve(drawn() === 1));
    await wired.admin.query("update indexpilot.experiment set attended_at = attended_at - interval '10 minutes'");
    await until("it is drawn no more", () => Promise.resolve(drawn() === 0));
    // The build of the winner's index waits for this transaction; somebody is at it meanwhile.
    await wired.admin.query("begin isolation level repeatable read");
    await wired.admin.query("select count(*) from orders");
    const conducted = conduct(pilot, 0);
    await until("it is drawn again", () => Promise.resolve(drawn() === 1));
    expect(await wired.context.store.experiments.get(id)).toMatchObject({ state });
    await wired.admin.query("commit");
    await conducted;
  });

  test("is no reason to leave others alone when something goes wrong with it, and is said where it is the only one", async () => {
    const opened = await open();
    const { wired, pilot } = opened;
    const experiment = await moved(wired, await standing(opened), "running");
    await wired.admin.script(`
      create function public.fails() returns trigger language plpgsql as $$ begin raise exception 'no ground'; end $$;
      create trigger fails before update of ground on indexpilot.experiment for each row execute function public.fails()`);
    await expect(conduct(pilot, 0)).rejects.toThrow("no ground");
    const customers = { schema: "public", name: "customers" };
    const arms = { control: null, treatment: on("customers", "name") };
    await createAbExperiment(pilot, { table: customers, ...arms, actor: "ann" });
    const conducted = await conductExperiments(pilot, { actor: { name: "ann", consents: true }, waitMs: 0 });
    expect(conducted).toMatchObject([
      { experiment: { id: experiment.id }, failed: true, reason: expect.stringContaining("no ground") as string },
      { experiment: { table: customers }, reason: expect.stringContaining("waiting for the application") as string },
    ]);
  });

  test("is followed no more by a process whose role may not read the gate's column any more, and again when it may", async () => {
    const opened = await open();
    const { wired, pilot } = opened;
    await moved(wired, await standing(opened), "running");
    await admitFollower(pilot, "nobody_special");
    await wired.admin.script(
      "grant usage on schema public to nobody_special; grant select on orders to nobody_special",
    );
    const following = await followExperiments(intercept({ Client: class extends pg.Client {} }), {
      url: target().server.url(wired.database, "nobody_special"),
      everyMs: 20,
    });
    closing.push(() => following.close());
    const drawn = (): number => following.running().length;
    await until("it is drawn", () => Promise.resolve(drawn() === 1));
    await wired.admin.query("revoke select on orders from nobody_special");
    await until("it is drawn no more", () => Promise.resolve(drawn() === 0));
    const said = async () => {
      const [follower] = await wired.context.store.experiments.followers(60_000);
      return Object.values(follower?.stands ?? {})[0];
    };
    await until("it says why", async () => (await said())?.share === 0);
    expect((await said())?.objection).toBe("this role may not read public.orders.customer_id");
    await wired.admin.query("grant select (customer_id) on orders to nobody_special");
    await until("it is drawn again", () => Promise.resolve(drawn() === 1));
  });

  test("is followed by a process that ends when it has nothing left to do, with its last word as without it", async () => {
    const { wired, pilot } = await open();
    await standing({ wired, pilot });
    const program = `
      import pg from "pg";
      import { intercept } from "indexpilot/driver";
      import { followExperiments } from "indexpilot";
      const [url, closes] = process.argv.slice(1);
      const following = await followExperiments(intercept(pg), { url, application: "shop", everyMs: 50 });
      if (closes === "closes") await following.close();
      console.log(following.running().length);`;
    for (const closes of ["closes", "leaves"]) {
      const url = target().server.url(wired.database, "builder");
      const ran = promisify(execFile)(process.execPath, ["--input-type=module", "-e", program, url, closes], {
        timeout: 20_000,
      });
      expect(await ran).toMatchObject({ stderr: "", stdout: closes === "closes" ? "0\n" : "1\n" });
    }
  });

  test("is not followed by a URL that leads nowhere, which with a logger that throws ends no application", async () => {
    const errors: Error[] = [];
    const following = await followExperiments(intercept({ Client: class extends pg.Client {} }), {
      url: "shop",
      everyMs: 10,
      onError: (error) => {
        errors.push(error);
        if (errors.length % 2 === 0) return Promise.reject(error);
        throw error;
      },
    });
    await until("it tries again", () => Promise.resolve(errors.length > 3));
    expect(errors[0]).toMatchObject({ code: "bad_url" });
    await following.close();
  });

  test("is left by a process that cannot say so any more without ending that process", async () => {
    const opened = await open();
    const { wired } = opened;
    await moved(wired, await standing(opened), "running");
    const { following, errors } = await follow(wired);
    await until("it is drawn", () => Promise.resolve(following.running().length === 1));
    await wired.admin.script(`
      create function public.fails() returns trigger language plpgsql as $$ begin raise exception 'no farewell'; end $$;
      create trigger fails before delete on indexpilot.experiment_follower for each row execute function public.fails()`);
    await following.close();
    expect(errors.map(({ message }) => message)).toEqual(["no farewell"]);
    expect(following.running()).toEqual([]);
  });

  test("is not drawn by a process whose clock is not the database's", async () => {
    const opened = await open();
    const { wired } = opened;
    await moved(wired, await standing(opened), "running");
    const { following } = await follow(wired, { ...systemClock, now: () => new Date(Date.now() - 60_000) });
    const stands = async () => {
      const [follower] = await wired.context.store.experiments.followers(60_000);
      return Object.values(follower?.stands ?? {});
    };
    await until("it says how it stands", async () => (await stands()).length > 0);
    expect(await stands()).toEqual([{ share: 0, objection: "its clock differs from the database's by -60 s" }]);
    expect(following.running()).toEqual([]);
  });

  test("is not drawn by a process whose store does not answer", async () => {
    const opened = await open();
    const { wired } = opened;
    await moved(wired, await standing(opened), "running");
    // Ten times as fast: 15 s of silence are 1.5, before the lock's own time-out ends the waiting.
    const quick: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 10, signal) };
    const { following, errors } = await follow(wired, quick);
    const drawn = (): number => following.running().length;
    await until("it is drawn", () => Promise.resolve(drawn() === 1));
    await wired.admin.query("begin");
    await wired.admin.query("lock table indexpilot.experiment in access exclusive mode");
    await until("it is drawn no more", () => Promise.resolve(drawn() === 0));
    expect(errors).toEqual([]);
    await wired.admin.query("commit");
    await until("it is drawn again", () => Promise.resolve(drawn() === 1));
  });
});

describe("an experiment on a server that crashes", () => {
  const target = withTarget(18);

  test("counts nothing of the time since the last look", async () => {
    const wired = await openWired(target());
    const experiment = await createAbExperiment(wired.pilot, {
      table: { schema: "public", name: "orders" },
      control: null,
      treatment: on("orders", "customer_id"),
      actor: "ann",
    });
    const look = async () => {
      const session = await target().open(wired.database, "postgres", "observe");
      const { store } = await openContext(target(), wired.database);
      return keepGround(session, store, experiment, systemClock.now());
    };
    expect(await look()).toBeNull();
    expect(await look()).toBeNull();
    const [row] = await wired.admin.query<{ pid: number }>("select pg_backend_pid() as pid");
    process.kill(row?.pid ?? process.pid, "SIGKILL");
    let broken: VoidStretch | null = null;
    await until("the server is back", async () => {
      broken = await look().catch(() => null);
      return broken !== null;
    });
    expect(broken).toMatchObject({ reason: "the server was restarted" });
  });
});
