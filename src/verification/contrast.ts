import type { Block, StatementCounters } from "../domain/index.ts";
import { difference, type Estimate, type InfluencePart, ratioInfluence } from "../statistics/index.ts";

const counters = (block: Block, id: string): StatementCounters | undefined => block.statements.get(id);

export const callsIn = (blocks: readonly Block[], id: string): number =>
  blocks.reduce((total, block) => total + (counters(block, id)?.calls ?? 0), 0);

/** The blocks in which a statement was called. */
export const blocksWith = (blocks: readonly Block[], id: string): readonly Block[] =>
  blocks.filter((block) => (counters(block, id)?.calls ?? 0) > 0);

/** Mean per call of one counter over all the blocks; null without calls. */
export const perCall = (
  blocks: readonly Block[],
  id: string,
  value: (of: StatementCounters) => number,
): number | null => {
  const calls = callsIn(blocks, id);
  if (calls === 0) return null;
  return (
    blocks.reduce((total, block) => {
      const of = counters(block, id);
      return of === undefined ? total : total + value(of);
    }, 0) / calls
  );
};

/** How much each statement counts: its calls before the change. Fixed, so that a change of the mix is not taken for a change of speed. */
export type Mix = ReadonlyMap<string, number>;

export const mixOf = (before: readonly Block[], ids: readonly string[]): Mix =>
  new Map(ids.map((id) => [id, callsIn(before, id)]));

/**
 * Σ weight × mean per call of time (ms) or another counter, and each block's influence on its logarithm, with the statements' parts in that; null when a statement
 * has nothing of it.
 */
export const fixedMix = (
  blocks: readonly Block[],
  mix: Mix,
  value: (of: StatementCounters) => number = (of) => of.totalMs,
): {
  readonly time: number;
  readonly influence: readonly number[];
  readonly parts: readonly InfluencePart[];
} | null => {
  let time = 0;
  const parts: InfluencePart[] = [];
  const influence = Array.from<number>({ length: blocks.length }).fill(0);
  for (const [id, weight] of mix) {
    const ratio = ratioInfluence(
      blocks.map((block) => {
        const of = counters(block, id);
        return of === undefined ? { y: 0, x: 0 } : { y: value(of), x: of.calls };
      }),
    );
    if (ratio === null) return null;
    const share = weight * ratio.ratio;
    time += share;
    for (const [i, one] of ratio.influence.entries()) influence[i] = (influence[i] ?? 0) + share * one;
    const square = share ** 2 * ratio.influence.reduce((total, one) => total + one * one, 0);
    parts.push({ square, blocks: blocksWith(blocks, id).length });
  }
  if (!(time > 0)) return null;
  return {
    time,
    influence: influence.map((one) => one / time),
    parts: parts.map(({ square, blocks: called }) => ({ square: square / time ** 2, blocks: called })),
  };
};

/** The change of a mix of statements against that of the control, on the scale of natural logarithms. */
export interface Contrast {
  /** ln(after / before) of the mix minus that of the control. */
  readonly estimate: Estimate | null;
  /** ln(after / before) of the control, which was taken out; null when there was no control. */
  readonly drift: number | null;
  readonly controlStatements: number;
  /** The drift, as a factor, by which the interval was widened because the control was too noisy to tell one; null where it was not. */
  readonly allowance: number | null;
}

/**
 * Difference in differences. Block by block, the control's deviation is subtracted from that of the mix before the variance
 * is taken: noise they share (another tenant, a checkpoint) cancels, and the control's own noise is counted.
 * @returns null when the mix has no measurable time on one side
 */
export const contrast = (
  before: readonly Block[],
  after: readonly Block[],
  mix: Mix,
  controlIds: readonly string[],
  minimumBlocks: number,
): Contrast | null => {
  const first = fixedMix(before, mix);
  const second = fixedMix(after, mix);
  if (first === null || second === null) return null;
  const change = Math.log(second.time / first.time);
  const calls = [...mix.values()].reduce((total, weight) => total + weight, 0);
  const alone = difference(change, first.influence, second.influence);
  const usable = usableIn(before, after, controlIds, minimumBlocks);
  const near = usable.filter((id) =>
    isAboutAsLong(
      perCall(before, id, (of) => of.totalMs),
      first.time / calls,
    ),
  );
  const drift = driftOf(before, after, near.length > 0 ? near : usable);
  if (drift === null) return { estimate: alone, drift: null, controlStatements: 0, allowance: null };
  const compared = difference(
    change - drift.value,
    first.influence.map((value, i) => value - (drift.before[i] ?? 0)),
    second.influence.map((value, i) => value - (drift.after[i] ?? 0)),
  );
  // A stall of the machine in a statement of microseconds would be taken for the drift of all. Where the control brings noise in rather than take it out,
  // and could not tell a large drift from none, no more is known than that a server does not change without bounds.
  if (
    !isSteady(drift) &&
    alone !== null &&
    (compared?.standardError ?? Number.POSITIVE_INFINITY) > alone.standardError
  ) {
    const estimate = alone.allowing(Math.log(DRIFT_BOUND));
    return { estimate, drift: null, controlStatements: 0, allowance: DRIFT_BOUND };
  }
  return { estimate: compared, drift: drift.value, controlStatements: drift.statements, allowance: null };
};

/** What is allowed for where the control is too noisy to tell: a whole server that became twice as fast or slow. */
const DRIFT_BOUND = 2;

interface Drift {
  /** ln(after / before). */
  readonly value: number;
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly statements: number;
}

/** What the control did. Each statement counts the same: by time, one slow report would be the whole control. */
const driftOf = (before: readonly Block[], after: readonly Block[], ids: readonly string[]): Drift | null => {
  const parts = ids.flatMap((id) => {
    const [one, two] = [fixedMix(before, mixOf(before, [id])), fixedMix(after, mixOf(before, [id]))];
    return one === null || two === null ? [] : [{ one, two }];
  });
  if (parts.length === 0) return null;
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / parts.length;
  return {
    value: mean(parts.map(({ one, two }) => Math.log(two.time / one.time))),
    before: before.map((_, i) => mean(parts.map(({ one }) => one.influence[i] ?? 0))),
    after: after.map((_, i) => mean(parts.map(({ two }) => two.influence[i] ?? 0))),
    statements: parts.length,
  };
};

/** Whether it can tell a drift of {@link DRIFT_BOUND} from none (two standard errors). */
const isSteady = (drift: Drift): boolean => {
  const own = difference(drift.value, drift.before, drift.after);
  return own !== null && 2 * own.standardError <= Math.log(DRIFT_BOUND);
};

/** Within a factor of ten. A server relieved of load makes long statements faster and, its caches and cores gone cold, very short ones slower. */
const isAboutAsLong = (ms: number | null, thanMs: number): boolean =>
  ms !== null && ms >= thanMs / 10 && ms <= thanMs * 10;

/** The statements with calls in enough blocks on both sides. One that ran in a single block shows no variance, and so proves nothing. */
export const usableIn = (
  before: readonly Block[],
  after: readonly Block[],
  ids: readonly string[],
  minimumBlocks: number,
): readonly string[] =>
  ids.filter((id) => blocksWith(before, id).length >= minimumBlocks && blocksWith(after, id).length >= minimumBlocks);
