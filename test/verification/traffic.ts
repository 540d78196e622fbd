import type { Block, StatementCounters } from "../../src/domain/index.ts";
import { seededRandom } from "../../src/runtime/index.ts";
import { normalQuantile } from "../../src/statistics/index.ts";

export const counters = (calls: number, totalMs: number): StatementCounters => ({
  calls,
  totalMs,
  stddevMs: null,
  rows: calls,
  sharedBlocksHit: 10 * calls,
  sharedBlocksRead: 0,
  tempBlocks: 0,
  walBytes: 0,
});

export const block = (
  statements: Readonly<Record<string, StatementCounters>>,
  voidReason: string | null = null,
): Block => ({
  startedAt: new Date(0),
  endedAt: new Date(1000),
  voidReason,
  statements: new Map(Object.entries(statements)),
});

export interface Shape {
  readonly meanMs: number;
  readonly calls: number;
  /** Standard deviation of the logarithm of a block's mean. */
  readonly noise: number;
  /** Lag-1 autocorrelation of that noise over blocks. */
  readonly phi: number;
}

/**
 * Synthetic blocks: every statement's level wanders as a log-normal AR(1), the machine's own (shared by all, φ = 0.7) on top of it, and single calls
 * are Pareto with index 2.5: finite variance, rare disasters.
 * `factor(id, i)` multiplies the time of block i.
 */
export const simulate = (
  seed: number,
  blocks: number,
  shapes: Readonly<Record<string, Shape>>,
  factor: (id: string, index: number) => number = () => 1,
): Block[] => {
  const random = seededRandom(seed);
  const normal = (): number => normalQuantile(Math.max(1e-12, random()));
  const step = (state: number, phi: number): number => phi * state + Math.sqrt(1 - phi * phi) * normal();
  let machine = normal();
  const states = new Map(Object.keys(shapes).map((id) => [id, normal()]));
  return Array.from({ length: blocks }, (_, index) => {
    machine = step(machine, 0.7);
    const statements: Record<string, StatementCounters> = {};
    for (const [id, { meanMs, calls, noise, phi }] of Object.entries(shapes)) {
      const state = step(states.get(id) ?? 0, phi);
      states.set(id, state);
      let total = 0;
      // Mean 1: a Pareto with index 2.5 and minimum 0.6.
      for (let call = 0; call < calls; call += 1) total += 0.6 * (1 - random()) ** (-1 / 2.5);
      statements[id] = counters(calls, meanMs * total * Math.exp(noise * state + 0.1 * machine) * factor(id, index));
    }
    return block(statements);
  });
};
