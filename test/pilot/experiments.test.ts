import { randomUUID } from "node:crypto";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { type GateExperiment, intercept, type Measurement } from "../../src/driver/index.ts";
import {
  type AbExperimentSpec,
  conductExperiment,
  conductExperiments,
  createAbExperiment,
  createCanaryDeployment,
  endAbExperiment,
  getAbResults,
  listAbExperiments,
  openAbRecorder,
  recordAbResult,
} from "../../src/pilot/index.ts";
import { type Clock, seededRandom } from "../../src/runtime/index.ts";
import type { ArmCall, Experiment } from "../../src/domain/index.ts";
import { keepGround } from "../../src/pilot/experiment-ground.ts";
import { acquireBuildLock } from "../../src/safeguards/index.ts";
import { on } from "../rollout/fixtures/rollout.ts";
import { withTarget } from "../rollout/fixtures/target.ts";
import { indexpilot } from "../surfaces/run.ts";
import { openWired, type Wired } from "./wired.ts";

const spec = {
  table: { schema: "public", name: "orders" },
  control: null,
  treatment: on("orders", "customer_id"),
  treatmentShare: 0.5,
  blockMs: 1000,
  maxMs: 2_000_000,
  actor: "ada",
} as const;

describe("an experiment", () => {
  const target = withTarget(18);

  /** Laid down, and running without anything being built: what is recorded here was measured elsewhere. */
  const begun = async (wired: Wired, changed: Partial<AbExperimentSpec> = {}): Promise<Experiment> => {
    const laid = await createAbExperiment(wired.pilot, { ...spec, ...changed });
    const running = await wired.context.store.experiments.advance(laid, { state: "running" });
    if (running === null) throw new Error("somebody else began it");
    return running;
  };

  /** So many windows of traffic; the treatment takes `factor` times as long. Time passes, and what is over is handed over. */
  const play = async (wired: Wired, id: string, factor: number, windows: number, units = 60): Promise<void> => {
    const recorder = await openAbRecorder(wired.pilot, id);
    const random = seededRandom(9);
    for (let window = 0; window < windows; window += 1) {
      const slot = Math.ceil(wired.clock.now().getTime() / 1000) * 1000;
      for (let unit = 0; unit < units; unit += 1) {
        const arm = random() < 0.5 ? "treatment" : "control";
        const call = (at: number): ArmCall => ({
          arm,
          fingerprint: "0123456789abcdef",
          unit: `${String(window)} ${String(unit)}`,
          share: 0.5,
          at: new Date(slot + at),
          timeMs: (0.5 + random()) * (arm === "treatment" ? factor : 1),
          rows: 1,
          failed: false,
        });
        // Two calls of one unit: counted twice as calls, and once as a unit.
        recordAbResult(recorder, call(10));
        recordAbResult(recorder, call(20));
      }
      wired.setTime(new Date(slot + 1000));
    }
    await recorder.close();
    wired.pass(1);
  };

  test("is laid down beforehand, one on a table, with arms that differ", async () => {
    const wired = await openWired(target());
    const first = await createAbExperiment(wired.pilot, spec);
    expect(first).toMatchObject({ state: "preparing", number: 1, alpha: 0.05, margin: 0.05, metric: "mean" });
    for (const [changed, problem] of [
      [{}, "another experiment is open"],
      [{ control: spec.treatment }, "both arms have the same index"],
      [{ table: { schema: "public", name: "nowhere" } }, "there is no table"],
      [{ treatment: on("customers", "id") }, "is not on"],
      [{ treatment: on("orders", "nothing") }, "has no column nothing"],
      [{ treatmentShare: 1 }, "share is not between 0 and 1"],
      [{ blockMs: 0 }, "a window is not 1 ms to a day long"],
      [{ blockMs: 0.5 }, "a window is not 1 ms to a day long"],
      [{ blockMs: 3e9 }, "a window is not 1 ms to a day long"],
      [{ maxMs: 0 }, "its longest time is not 1 ms to a year"],
      [{ maxMs: Number.POSITIVE_INFINITY }, "its longest time is not 1 ms to a year"],
    ] as const) {
      await expect(createAbExperiment(wired.pilot, { ...spec, ...changed })).rejects.toMatchObject({
        code: "experiment_invalid",
        message: expect.stringContaining(problem) as string,
      });
    }
  });

  test("is not begun with an index that everybody has", async () => {
    const wired = await openWired(target());
    const admin = await target().open(wired.database, "postgres");
    await admin.query('create unique index "The Key" on public.orders (id)');
    await admin.close();
    for (const [begin, problem] of [
      [createAbExperiment(wired.pilot, { ...spec, treatment: on("orders", "id") }), "the treatment's index"],
      [createAbExperiment(wired.pilot, { ...spec, control: on("orders", "id") }), "the control's index"],
      [createCanaryDeployment(wired.pilot, { index: on("orders", "id"), actor: "ada" }), "this index"],
    ] as const) {
      await expect(begin).rejects.toMatchObject({
        code: "experiment_invalid",
        message: expect.stringContaining(`public."The Key" is already ${problem}`) as string,
      });
    }
    expect(await wired.context.store.deployments.list()).toEqual([]);
    await createAbExperiment(wired.pilot, { ...spec, treatment: on("orders", "id", "note") });
  });

  test("has no more windows than each look can read", async () => {
    const wired = await openWired(target());
    const { blockMs } = await createAbExperiment(wired.pilot, { ...spec, maxMs: 259_200_000 });
    expect(blockMs).toBe(12_960);
  });

  test("that a person laid down is built: its indexes' sizes are predicted, as the budget asks", async () => {
    const wired = await openWired(target());
    const { id } = await createAbExperiment(wired.pilot, { ...spec, control: on("orders", "note") });
    const follower = { process: randomUUID(), application: "shop", role: "app" };
    await wired.context.store.experiments.sayFollowing({
      ...follower,
      stands: { [id]: { share: 0, objection: null } },
    });
    await conductExperiments(wired.pilot, { actor: { name: "ada", consents: true }, waitMs: 0 });
    expect((await wired.indexes()).map(({ name, valid }) => [name, valid])).toEqual([
      ["orders_customer_id_gated", true],
      ["orders_note_gated", true],
    ]);
    for (const { predictedBytes, sizeBytes } of await wired.context.store.deployments.list()) {
      expect(predictedBytes).toBeGreaterThan(0);
      if (sizeBytes !== null) expect(predictedBytes ?? 0).toBeLessThan(2 * sizeBytes);
    }
  });

  test("names the planted better arm, ends once, and takes nothing more", async () => {
    const wired = await openWired(target());
    const { id } = await begun(wired);
    await play(wired, id, 1, 3);
    expect((await getAbResults(wired.pilot, id)).verdict).toMatchObject({ outcome: "undecided", soundBlocks: 3 });
    await play(wired, id, 0.5, 40);
    const found = await getAbResults(wired.pilot, id);
    expect(found).toMatchObject({ over: true, verdict: { outcome: "better" } });
    expect(found.verdict.units).toMatchObject({ splitPValue: expect.any(Number) as number });
    expect((found.verdict.units?.control ?? 0) + (found.verdict.units?.treatment ?? 0)).toBe(43 * 60);
    expect(found.verdict.statements[0]).toMatchObject({ statementId: "0123456789abcdef", outcome: "better" });

    const end = { id, actor: "ada", reason: "enough" };
    expect((await endAbExperiment(wired.pilot, end)).experiment).toMatchObject({
      state: "removing",
      endReason: "enough",
    });
    await expect(endAbExperiment(wired.pilot, end)).rejects.toMatchObject({ code: "experiment_invalid" });
    const before = await getAbResults(wired.pilot, id);
    await play(wired, id, 5, 5);
    expect(await getAbResults(wired.pilot, id)).toEqual(before);
    expect((await wired.decisions()).at(-1)).toMatchObject({ subject: "experiment", outcome: "better" });
    // Nothing was built, so that nothing is to be removed, and the table is free again.
    await conductExperiments(wired.pilot, { actor: { name: "ada", consents: true }, waitMs: 0 });
    expect((await getAbResults(wired.pilot, id)).experiment).toMatchObject({ state: "decided", winner: null });
    expect((await createAbExperiment(wired.pilot, spec)).state).toBe("preparing");
    expect(await listAbExperiments(wired.pilot)).toHaveLength(2);
  });

  test("that is a canary is not over while it is better at its first stage, and is when it has ended", async () => {
    const wired = await openWired(target());
    const settings = { ...wired.pilot.settings, blockMs: 1000, canaryMaxMs: 20_000_000 };
    const pilot = { ...wired.pilot, settings };
    const canary = await createCanaryDeployment(pilot, { index: spec.treatment, actor: "ada" });
    const { experiments } = wired.context.store;
    const running = await experiments.advance(canary, { state: "running" });
    await play(wired, canary.id, 0.5, 40);
    const better = { over: false, verdict: { outcome: "better" } };
    expect(await getAbResults(wired.pilot, canary.id)).toMatchObject(better);
    await experiments.advance(running ?? canary, { state: "stopped", endedAt: wired.clock.now() });
    expect(await getAbResults(wired.pilot, canary.id)).toMatchObject({ ...better, over: true });
  });

  test("takes no call that cannot be, and judges no time before it was laid down", async () => {
    const wired = await openWired(target());
    const { id } = await begun(wired);
    const recorder = await openAbRecorder(wired.pilot, id);
    const now = wired.clock.now().getTime();
    const call = {
      arm: "control",
      fingerprint: "f",
      unit: "1",
      share: 0.5,
      timeMs: 1,
      rows: 1,
      failed: false,
    } as const;
    for (const wrong of [
      { at: new Date(now / 1000) },
      { at: new Date(now + 120_000) },
      { at: new Date("yesterday") },
      { timeMs: Number.NaN },
      { timeMs: -1 },
      { rows: Number.POSITIVE_INFINITY },
      { share: 0 },
      { share: 1.1 },
      { share: Number.NaN },
    ]) {
      expect(() => recordAbResult(recorder, { ...call, at: new Date(now), ...wrong })).toThrow(
        expect.objectContaining({ code: "call_invalid" }) as Error,
      );
    }
    await recorder.close();
    await play(wired, id, 1, 3);
    const before = (await getAbResults(wired.pilot, id)).verdict;
    // As an earlier version would have taken it.
    const counted = new Map([["f", { calls: 1, totalMs: 1, rows: 1, latencies: new Map([[1, 1]]) }]]);
    const early = { arm: "control", slot: 0, share: 0.5, units: 1, failedUnits: 0, statements: counted } as const;
    await wired.context.store.experiments.add(id, [early]);
    expect((await getAbResults(wired.pilot, id)).verdict).toEqual(before);
  });

  test("loses nothing of what could not be handed over", async () => {
    const wired = await openWired(target());
    const { id } = await begun(wired);
    const recorder = await openAbRecorder(wired.pilot, id);
    const [at, share] = [wired.clock.now(), 0.5];
    const call = { arm: "control", fingerprint: "0123456789abcdef", share, timeMs: 1, rows: 1, failed: false } as const;
    recordAbResult(recorder, { ...call, unit: "1", at });
    wired.pass(2);
    await wired.admin.script(`
      create function public.fails() returns trigger language plpgsql as $$ begin raise exception 'full'; end $$;
      create trigger fails before insert on indexpilot.experiment_statement for each row execute function public.fails()`);
    await expect(recorder.flush()).rejects.toThrow("full");
    // Late for a window that was taken before.
    recordAbResult(recorder, { ...call, unit: "2", at });
    await wired.admin.query("drop trigger fails on indexpilot.experiment_statement");
    await recorder.close();
    const { windows } = await wired.context.store.experiments.readWindows(id, { latencies: true });
    expect(windows.map(({ units, statements }) => [units, statements.get(call.fingerprint)?.calls])).toEqual([[2, 2]]);
  });

  test.each([
    ["an index that others create", "create index others on public.orders (note)", "the table's indexes changed"],
    ["a reset of the statistics", "select pg_stat_statements_reset()", "statistics were reset"],
  ])("takes %s for the end of what was seen so far since the last look, and says so", async (_, sql, reason) => {
    const wired = await openWired(target());
    const admin = await target().open(wired.database, "postgres");
    await admin.query("create extension if not exists pg_stat_statements");
    const experiment = await begun(wired);
    const { id } = experiment;
    const look = () => keepGround(admin, wired.context.store, experiment, wired.clock.now());
    await play(wired, id, 1, 6);
    expect(await look()).toBeNull();
    await admin.query(sql);
    await play(wired, id, 1, 6);
    expect(await look()).toMatchObject({ reason });
    await play(wired, id, 1, 6);
    expect(await look()).toBeNull();
    const { verdict } = await getAbResults(wired.pilot, id);
    expect(verdict.voidBlocks).toBeGreaterThanOrEqual(6);
    expect(verdict.soundBlocks).toBeGreaterThanOrEqual(11);
    expect(verdict.reason).toContain(`× ${reason}`);
    await admin.close();
  });

  test("waits while another process changes indexes, which may conduct it, and goes on when that is done", async () => {
    const wired = await openWired(target());
    const lock = await acquireBuildLock(await target().open(wired.database, "builder"));
    const url = target().server.url(wired.database);
    const create = ["experiment", "create", "--treatment", "orders (note)", "--wait", "1s", "--json", "--url", url];
    const ran = await indexpilot(create);
    expect(ran).toMatchObject({ code: 0, err: expect.stringContaining("`indexpilot verify` conducts it") as string });
    const { id } = JSON.parse(ran.out) as Experiment;
    await endAbExperiment(wired.pilot, { id, actor: "ada", reason: "enough" });
    const sleep: Clock["sleep"] = async () => lock?.release();
    const pilot = { ...wired.pilot, clock: { ...wired.clock, sleep } };
    const ended = await conductExperiment(pilot, id, { actor: { name: "ada", consents: true }, waitMs: 60_000 });
    expect(ended.experiment).toMatchObject({ state: "stopped", endReason: "enough" });
  });

  test("is fed by the hook in the application, and shown and stopped from the command line", async () => {
    const wired = await openWired(target());
    const { id, number } = await begun(wired, { blockMs: 100 });
    const recorder = await openAbRecorder(wired.pilot, id);
    const gate: GateExperiment = {
      id,
      number,
      table: spec.table,
      column: "customer_id",
      bareName: true,
      share: 0.5,
      unit: "transaction",
    };
    const seen: Measurement[] = [];
    const hook = intercept(pg, {
      experiments: [gate],
      observe: (measurement) => {
        const { experiment, arm, unit, share } = measurement;
        if (experiment !== id || arm === null || unit === null || share === null) return;
        seen.push(measurement);
        recordAbResult(recorder, {
          ...measurement,
          arm,
          unit,
          share,
          at: wired.clock.now(),
          failed: measurement.error !== null,
        });
      },
    });
    await hook.ready;
    const client = new pg.Client(target().server.url(wired.database));
    await client.connect();
    while (new Set(seen.map(({ arm }) => arm)).size < 2 || seen.length < 40) {
      await client.query("begin");
      await client.query("select * from orders where customer_id = $1", [seen.length % 500]);
      await client.query("select * from orders where customer_id = $1", [1]);
      await client.query("commit");
    }
    await client.end();
    hook.remove();
    await recorder.close();
    wired.pass(1);

    const { verdict } = await getAbResults(wired.pilot, id);
    expect((verdict.units?.control ?? 0) + (verdict.units?.treatment ?? 0)).toBeGreaterThanOrEqual(seen.length / 2);
    expect(verdict.statements[0]?.controlCalls).toBe(seen.filter(({ arm }) => arm === "control").length);

    const flags = ["--url", target().server.url(wired.database)];
    const list = await indexpilot(["experiment", "list", ...flags]);
    expect(list.out).toMatch(/1 +comparison +orders +running/);
    const show = await indexpilot(["experiment", "show", id.slice(0, 8), ...flags]);
    expect(show).toMatchObject({ code: 0 });
    expect(show.out).toContain("units got the treatment");
    const stopped = await indexpilot([
      "experiment",
      "stop",
      String(number),
      "--reason",
      "seen enough",
      "--json",
      ...flags,
    ]);
    expect(JSON.parse(stopped.out)).toMatchObject({ endReason: "seen enough", over: true });
    expect(await indexpilot(["experiment", "show", "77", ...flags])).toMatchObject({ code: 2 });
  });
});
