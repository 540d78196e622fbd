/**
 * How often do verdicts err, and how often do they find what is there? `npx tsx bench/verdicts.ts [runs]`
 *
 * Synthetic traffic (test/verification/traffic.ts): heavy-tailed calls, log-normal noise of blocks with autocorrelation φ, noise
 * shared by all statements. "Winner" is `better` or `worse` overall at any look, and it is looked after every block.
 */
import { judge, type Evidence } from "../src/verification/index.ts";
import { simulate, type Shape } from "../test/verification/traffic.ts";

export interface Scenario {
  readonly phi: number;
  /** Standard deviation of the logarithm of a statement's level from block to block, apart from the noise of its calls. */
  readonly noise: number;
  readonly before: number;
  /** Blocks after the change until we give up. */
  readonly after: number;
  /** Time after / time before of the affected statement; 1 is an A/A experiment. */
  readonly factor: number;
}

const shapes = (phi: number, noise: number): Readonly<Record<string, Shape>> => ({
  read: { meanMs: 40, calls: 20, noise, phi },
  write: { meanMs: 1, calls: 40, noise, phi },
  "control-1": { meanMs: 5, calls: 20, noise: 0.1, phi },
  "control-2": { meanMs: 0.5, calls: 60, noise: 0.1, phi },
});

export interface Rates {
  /** Share of the runs with a winner at some look. */
  readonly winners: number;
  /** Share of the runs called worse. */
  readonly worse: number;
  readonly equivalent: number;
  /** Mean number of blocks after the change until the decision, among the decided. */
  readonly blocks: number | null;
}

/** Runs one scenario, stopping each run at its first decision. */
export const measure = (scenario: Scenario, runs: number, seed = 1): Rates => {
  const { phi, noise, before, after, factor } = scenario;
  let winners = 0;
  let worse = 0;
  let equivalent = 0;
  let waited = 0;
  for (let run = 0; run < runs; run += 1) {
    const blocks = simulate(seed * 1_000_003 + run, before + after, shapes(phi, noise), (id, i) =>
      id === "read" && i >= before ? factor : 1,
    );
    for (let seen = 5; seen <= after; seen += 1) {
      const evidence: Evidence = {
        before: blocks.slice(0, before),
        after: blocks.slice(before, before + seen),
        affected: ["read"],
        writes: ["write"],
        control: ["control-1", "control-2"],
      };
      const { outcome } = judge(evidence);
      if (outcome === "undecided") continue;
      if (outcome === "equivalent") equivalent += 1;
      else winners += 1;
      if (outcome === "worse") worse += 1;
      waited += seen;
      break;
    }
  }
  const decided = winners + equivalent;
  return {
    winners: winners / runs,
    worse: worse / runs,
    equivalent: equivalent / runs,
    blocks: decided === 0 ? null : waited / decided,
  };
};

/** Upper end of the exact 95 % binomial interval is close to this for the numbers used here (Wilson 1927). */
const upperBound = (share: number, runs: number, z = 1.96): number =>
  (share + (z * z) / (2 * runs) + z * Math.sqrt((share * (1 - share)) / runs + (z * z) / (4 * runs * runs))) /
  (1 + (z * z) / runs);

const main = (): void => {
  const runs = Number(process.argv[2] ?? 1000);
  const results = [];
  for (const factor of [1, 0.9, 0.5, 0.2]) {
    for (const phi of [0, 0.5, 0.8]) {
      for (const before of [8, 20]) {
        for (const noise of [0.15, 0.4]) {
          const scenario: Scenario = { phi, noise, before, after: factor === 1 ? 60 : 20, factor };
          const rates = measure(scenario, runs);
          results.push({ ...scenario, ...rates, winnersAtMost: upperBound(rates.winners, runs) });
          const blocks = rates.blocks === null ? "" : `, after ${rates.blocks.toFixed(1)} blocks`;
          process.stdout.write(
            `time × ${factor}, φ ${phi}, noise ${noise}, ${before} blocks before, up to ${scenario.after} after: ` +
              `winner ${(100 * rates.winners).toFixed(1)} %, equivalent ${(100 * rates.equivalent).toFixed(1)} %${blocks}\n`,
          );
        }
      }
    }
  }
  process.stdout.write(`${JSON.stringify({ benchmark: "verdicts", runs, results })}\n`);
};

if (import.meta.filename === process.argv[1]) main();
