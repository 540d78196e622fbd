import { beforeAll, describe, expect, test } from "vitest";
import {
  type ArmName,
  type Block,
  type Experiment,
  gateNumber,
  type StatementCounters,
} from "../../src/domain/index.ts";
import { standingOf } from "../../src/pilot/experiment-verdict.ts";
import { createAbExperiment, getAbResults } from "../../src/pilot/index.ts";
import { addGate, fingerprintOf, loadParser } from "../../src/sql/index.ts";
import type { StoredStatement } from "../../src/store/index.ts";
import type { ExperimentStanding } from "../../src/verification/index.ts";
import { on } from "../rollout/fixtures/rollout.ts";
import { withTarget } from "../rollout/fixtures/target.ts";
import { openWired, type Wired } from "./wired.ts";

const table = { schema: "public", name: "orders" };
const text = "select count(*) from orders where customer_id = $1";
const seconds = 20;

const statementOf = (sql: string): StoredStatement => {
  const fingerprint = fingerprintOf(sql);
  if (fingerprint === null) throw new Error("a statement has a fingerprint");
  const scope = { role: "app", searchPath: ["public"] };
  return {
    id: `id of ${fingerprint}`,
    fingerprint,
    queryId: "1",
    label: "select orders",
    text: sql,
    verb: "select",
    scope,
  };
};

const counted = (calls: number, pagesPerCall: number): StatementCounters => ({
  calls,
  totalMs: calls,
  stddevMs: null,
  rows: calls,
  sharedBlocksHit: calls * pagesPerCall,
  sharedBlocksRead: 0,
  tempBlocks: 0,
  walBytes: 0,
});

/** What the hook records of 100 calls a second in each arm, and the server counts beside it. */
describe("an experiment's evidence", () => {
  const target = withTarget(18);
  beforeAll(() => loadParser());

  /** With `strangers` calls a second without a gate, of processes without a hook, that read a hundred times the pages. */
  const played = async (strangers: number): Promise<{ readonly wired: Wired; readonly experiment: Experiment }> => {
    const wired = await openWired(target());
    const { store } = wired.context;
    const spec = {
      table,
      control: null,
      treatment: on("orders", "customer_id"),
      blockMs: 1000,
      maxMs: 3_600_000,
      actor: "ada",
    };
    const laid = await createAbExperiment(wired.pilot, { ...spec, treatmentShare: 0.5 });
    const experiment = await store.experiments.advance(laid, { state: "running" });
    if (experiment === null) throw new Error("somebody else began it");
    const outcome = addGate(text, {
      table,
      column: "customer_id",
      number: gateNumber(experiment, "treatment"),
      bareName: true,
    });
    if (outcome.kind !== "rewritten") throw new Error("the gate cannot be stated");
    const [plain, gated] = [statementOf(text), statementOf(outcome.text)];
    const first = Math.ceil(wired.clock.now().getTime() / 1000);
    for (let i = 0; i < seconds; i += 1) {
      const slot = first + i;
      const noise = i % 2 === 0 ? 1.05 : 0.95;
      const ms: Record<ArmName, number> = { control: 100 * noise, treatment: 97 };
      await store.experiments.add(
        experiment.id,
        (["control", "treatment"] as const).map((arm) => {
          const counters = { calls: 100, totalMs: ms[arm], rows: 100, latencies: new Map<number, number>() };
          return {
            arm,
            slot,
            share: 0.5,
            units: 100,
            failedUnits: 0,
            statements: new Map([[plain.fingerprint, counters]]),
          };
        }),
      );
      const block: Block = {
        startedAt: new Date(slot * 1000),
        endedAt: new Date((slot + 1) * 1000),
        voidReason: null,
        statements: new Map([
          [plain.id, counted(100 + strangers, (100 * 50 + strangers * 5000) / (100 + strangers))],
          [gated.id, counted(100, 50)],
        ]),
      };
      await store.observations.saveBlock(block, [plain, gated], 17);
    }
    wired.setTime(new Date((first + seconds) * 1000));
    return { wired, experiment };
  };

  const standing = ({ wired, experiment }: Awaited<ReturnType<typeof played>>): Promise<ExperimentStanding> =>
    standingOf({ ...wired.pilot, clock: wired.clock }, wired.admin, wired.context.store, experiment);

  test("counts what reads would save at everybody's calls, as what writes pay is", async () => {
    const alone = await standing(await played(0));
    const [one] = alone.verdict.statements;
    const savedPerCall = (one?.controlMs ?? 0) - (one?.treatmentMs ?? 0);
    expect(savedPerCall).toBeGreaterThan(0.01);
    expect(alone.savedMs).toBeCloseTo(savedPerCall * 200);
    expect((await standing(await played(800))).savedMs).toBeCloseTo(savedPerCall * 1000);
  });

  test("has pages that strangers read too: shown, and not decided by", async () => {
    const { wired, experiment } = await played(800);
    const { verdict, labels } = await getAbResults(wired.pilot, experiment.id);
    expect(verdict.pages?.change).toBeLessThan(-0.9);
    expect(verdict.outcome).toBe("undecided");
    expect(verdict.reason).toContain("do not decide: the server counted calls of others");
    expect(Object.values(labels)).toEqual(["select orders"]);
  });
});
