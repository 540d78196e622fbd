import type pg from "pg";
import { seededRandom } from "../../src/runtime/index.ts";
import type { GateSkip } from "../../src/sql/index.ts";
import { statementGenerator } from "./generator.ts";
import { type Mode, modes, outcomeOf, plain, rewrite, scansOf, setMode } from "./run.ts";
import type { QueryShape } from "./shapes.ts";

export interface Difference {
  readonly mode: Mode;
  readonly original: QueryShape;
  readonly rewritten: string;
  readonly outcomes: readonly [string, string];
}

export interface Differential {
  readonly statements: number;
  /** Those that name the table on trial where it may be scanned. */
  readonly touching: number;
  readonly rewritten: number;
  /** Scans left without the gate, by reason. */
  readonly skipped: ReadonlyMap<GateSkip, number>;
  readonly differences: readonly Difference[];
  /** Scans of the index while only original statements ran. */
  readonly controlLeaks: number;
  /** Scans of it while rewritten ones ran. */
  readonly treatmentScans: number;
  /** Ran into the time limit in one form at least, and were not compared. */
  readonly unfinished: number;
  /** Refused by the server in both forms, alike. */
  readonly refused: number;
}

const batchSize = 100;
const cancelled = "error 57014";

/** Draws statements and runs each as it is and with the gate, on a database that has the gated index. */
export const differential = async (
  client: pg.Client,
  count: number,
  seed: number,
  progress: (done: number) => void = () => undefined,
): Promise<Differential> => {
  const random = seededRandom(seed);
  const draw = statementGenerator(random);
  const skipped = new Map<GateSkip, number>();
  const differences: Difference[] = [];
  const sums = {
    statements: 0,
    touching: 0,
    rewritten: 0,
    controlLeaks: 0,
    treatmentScans: 0,
    unfinished: 0,
    refused: 0,
  };

  await client.query("set statement_timeout = '2s'");
  while (sums.statements < count) {
    const mode = modes[Math.floor(random() * modes.length)] ?? "plain";
    await setMode(client, mode);
    // Without other ways the planner takes the index wherever it may.
    for (const setting of ["enable_seqscan", "enable_hashjoin", "enable_mergejoin"]) {
      await client.query(`set ${setting} = ${random() < 0.5 ? "on" : "off"}`);
    }
    const batch = Array.from({ length: Math.min(batchSize, count - sums.statements) }, () => {
      const drawn = draw();
      const original = mode === "plain" ? plain(drawn) : drawn;
      return { original, outcome: rewrite(original.text) };
    });
    sums.statements += batch.length;

    const before = await scansOf(client);
    const direct: string[] = [];
    for (const { original } of batch) direct.push(await outcomeOf(client, original));
    const between = await scansOf(client);
    sums.controlLeaks += between - before;

    for (const [i, { original, outcome }] of batch.entries()) {
      const expected = direct[i] ?? "";
      if (outcome.kind === "untouched") continue;
      sums.touching += 1;
      for (const reason of outcome.kind === "skipped" ? outcome.reasons : outcome.skipped) {
        skipped.set(reason, (skipped.get(reason) ?? 0) + 1);
      }
      if (outcome.kind === "skipped") continue;
      sums.rewritten += 1;
      const found = await outcomeOf(client, { text: outcome.text, values: original.values });
      if (expected === cancelled || found === cancelled) sums.unfinished += 1;
      else if (expected !== found) {
        differences.push({ mode, original, rewritten: outcome.text, outcomes: [expected, found] });
      } else if (expected.startsWith("error")) sums.refused += 1;
    }
    sums.treatmentScans += (await scansOf(client)) - between;
    progress(sums.statements);
  }
  return { ...sums, skipped, differences };
};
