import type {
  Block,
  HotVerdict,
  Interval,
  Outcome,
  StatementCounters,
  StatementVerdict,
  Verdict,
  WriteVerdict,
} from "../domain/index.ts";
import { holmLevels } from "../statistics/index.ts";
import { blocksWith, callsIn, contrast, mixOf, perCall, usableIn, type Contrast } from "./contrast.ts";
import type { Evidence } from "./evidence.ts";
import { judgeHot } from "./hot.ts";
import { intervalOf, outcomeOf } from "./outcome.ts";
import { between, milliseconds, percent, sentence, share, voidBlocks } from "./wording.ts";

/** Fewer blocks cannot tell noise from a change whatever the caller says. */
const fewestBlocks = 5;

interface Settled extends Evidence {
  readonly soundBefore: readonly Block[];
  readonly soundAfter: readonly Block[];
  readonly margin: number;
  readonly minimumBlocks: number;
  readonly alpha: number;
  readonly voids: string | null;
}

const settle = (evidence: Evidence): Settled => {
  const { alpha = 0.05, margin = 0.05, minimumBlocks = fewestBlocks } = evidence;
  const voids = [voidBlocks(evidence.before, "before the change"), voidBlocks(evidence.after, "after the change")];
  return {
    ...evidence,
    soundBefore: evidence.before.filter((block) => block.voidReason === null),
    soundAfter: evidence.after.filter((block) => block.voidReason === null),
    margin,
    minimumBlocks: Math.max(fewestBlocks, minimumBlocks),
    alpha,
    voids: voids.some((one) => one !== null) ? sentence(voids) : null,
  };
};

/**
 * The verdict over one index: is the time of the statements it touches, each at its calls before the change, now less?
 *
 * Fixed-mix mean time per call, in logarithms, minus that of the control (difference in differences); the variance from blocks
 * of time with their autocorrelation; a sequential t-test, so that the growing evidence may be judged at any time; Holm over statements for their own verdicts.
 */
export const judge = (evidence: Evidence): Verdict => {
  const settled = settle(evidence);
  const ids = [...new Set([...settled.affected, ...settled.writes])];
  const statements = judgeStatements(settled, ids);
  const { result, missing } = overall(settled, ids);
  const interval = intervalOf(result?.estimate ?? null, settled.alpha);
  const outcome = missing === null ? outcomeOf(interval, settled.margin) : "undecided";
  const change = result?.estimate === null || result === null ? null : Math.expm1(result.estimate.value);
  const drift = result?.drift ?? null;
  const shown = missing === null;
  const writes = judgeWrites(settled);
  return {
    outcome,
    change: shown ? change : null,
    interval: shown ? interval : null,
    exposure: "time",
    statements,
    writes,
    drift: drift === null ? null : Math.expm1(drift),
    controlStatements: result?.controlStatements ?? 0,
    reason: sentence([
      missing ?? describeOverall(outcome, change, interval, settled),
      shown ? dissent(outcome, statements) : null,
      describeWrites(writes),
      shown ? describeDrift(drift, result?.allowance ?? null) : null,
      outcome === "undecided" ? settled.voids : null,
    ]),
  };
};

/** Writes alone, and what of the log they make. Part of the whole already: this tells who pays. */
const judgeWrites = (settled: Settled): WriteVerdict | null => {
  if (settled.writes.length === 0) return null;
  const { result } = overall(settled, settled.writes);
  const interval = intervalOf(result?.estimate ?? null, settled.alpha);
  return {
    outcome: outcomeOf(interval, settled.margin),
    change: result?.estimate === null || result === null ? null : Math.expm1(result.estimate.value),
    interval,
    walPerRowBefore: walPerRow(settled.soundBefore, settled.writes),
    walPerRowAfter: walPerRow(settled.soundAfter, settled.writes),
    hot: judgeHot(settled.soundBefore, settled.soundAfter, settled),
  };
};

const walPerRow = (blocks: readonly Block[], ids: readonly string[]): number | null => {
  let [bytes, rows] = [0, 0];
  for (const { statements } of blocks) {
    for (const id of ids) {
      bytes += statements.get(id)?.walBytes ?? 0;
      rows += statements.get(id)?.rows ?? 0;
    }
  }
  return rows > 0 && bytes > 0 ? bytes / rows : null;
};

/** The contrast of all statements together, or what stands in its way. */
const overall = (
  settled: Settled,
  ids: readonly string[],
): { readonly result: Contrast | null; readonly missing: string | null } => {
  const { soundBefore, soundAfter, minimumBlocks, margin } = settled;
  const nothing = (missing: string) => ({ result: null, missing });
  if (soundBefore.length < minimumBlocks || soundAfter.length < minimumBlocks) {
    return nothing(
      `too few blocks: ${soundBefore.length} before and ${soundAfter.length} after the change, ${minimumBlocks} are needed on each side`,
    );
  }
  const timeBefore = (id: string): number => callsIn(soundBefore, id) * (perCall(soundBefore, id, totalMs) ?? 0);
  const total = ids.reduce((sum, id) => sum + timeBefore(id), 0);
  if (!(total > 0)) return nothing("no calls before the change, so there is nothing to compare with");
  const usable = usableIn(soundBefore, soundAfter, ids, minimumBlocks);
  const absent = ids.filter((id) => !usable.includes(id) && timeBefore(id) > 0);
  const absentShare = absent.reduce((sum, id) => sum + timeBefore(id), 0) / total;
  if (absentShare > margin) {
    const silent = absent.filter((id) => callsIn(soundAfter, id) === 0).length;
    return nothing(
      `statements with ${share(absentShare)} of the time before were called in fewer than ${minimumBlocks} blocks on one side (${silent} of ${absent.length} not at all since the change)`,
    );
  }
  const result = contrast(soundBefore, soundAfter, mixOf(soundBefore, usable), settled.control, minimumBlocks);
  if (result === null) return nothing("no measurable time on one side of the change");
  return { result, missing: null };
};

interface Draft {
  readonly id: string;
  readonly result: Contrast | null;
  readonly missing: string | null;
}

const judgeStatements = (settled: Settled, ids: readonly string[]): readonly StatementVerdict[] => {
  const drafts = ids.map((id) => draft(settled, id));
  const levels = holmLevels(
    drafts.map(({ result }) => result?.estimate?.anytimePValue ?? 1),
    settled.alpha,
  );
  return drafts.map(({ id, result, missing }, i) => {
    const { soundBefore, soundAfter } = settled;
    const interval = intervalOf(result?.estimate ?? null, levels[i] ?? settled.alpha);
    const outcome = outcomeOf(interval, settled.margin);
    const meanMsBefore = perCall(soundBefore, id, totalMs);
    const meanMsAfter = perCall(soundAfter, id, totalMs);
    const change =
      result?.estimate === undefined || result.estimate === null ? null : Math.expm1(result.estimate.value);
    return {
      statementId: id,
      outcome,
      meanMsBefore,
      meanMsAfter,
      change,
      interval,
      callsBefore: callsIn(soundBefore, id),
      callsAfter: callsIn(soundAfter, id),
      blocksBefore: blocksWith(soundBefore, id).length,
      blocksAfter: blocksWith(soundAfter, id).length,
      reason: sentence([
        meanMsBefore !== null && meanMsAfter !== null
          ? `${milliseconds(meanMsBefore)} before, ${milliseconds(meanMsAfter)} after per call`
          : null,
        missing ?? describeChange(outcome, change, interval, settled),
        describeBuffers(settled, id),
        outcome === "undecided" ? settled.voids : null,
      ]),
    };
  });
};

const totalMs = (of: StatementCounters): number => of.totalMs;

const draft = ({ soundBefore, soundAfter, control, minimumBlocks }: Settled, id: string): Draft => {
  const before = blocksWith(soundBefore, id);
  const after = blocksWith(soundAfter, id);
  const absent = (missing: string): Draft => ({ id, result: null, missing });
  if (before.length === 0) return absent("no calls before the change");
  if (after.length === 0) return absent("no calls after the change");
  if (before.length < minimumBlocks || after.length < minimumBlocks) {
    return absent(
      `too few blocks with calls: ${before.length} before and ${after.length} after, ${minimumBlocks} are needed on each side`,
    );
  }
  const result = contrast(before, after, mixOf(before, [id]), control, minimumBlocks);
  return result === null ? absent("no measurable time on one side of the change") : { id, result, missing: null };
};

const describeChange = (
  outcome: Outcome,
  change: number | null,
  interval: Interval | null,
  { margin }: Settled,
): string => {
  if (change === null || interval === null) {
    return "too few independent blocks to say anything yet, more are needed";
  }
  const shown = `${percent(change)} (${between(interval)})`;
  if (outcome === "undecided") return `${shown}: the interval is too wide to tell, more blocks are needed`;
  return outcome === "equivalent" ? `${shown}, within ±${share(margin)}` : shown;
};

const describeOverall = (
  outcome: Outcome,
  change: number | null,
  interval: Interval | null,
  settled: Settled,
): string => {
  const blocks = `${settled.soundBefore.length} blocks before, ${settled.soundAfter.length} after`;
  return `time per call over all statements concerned ${describeChange(outcome, change, interval, settled)} (${blocks})`;
};

/** Buffers never decide; they help a person to believe or doubt. */
const describeBuffers = ({ soundBefore, soundAfter }: Settled, id: string): string | null => {
  const pages = (of: StatementCounters): number => of.sharedBlocksHit + of.sharedBlocksRead;
  const before = perCall(soundBefore, id, pages);
  const after = perCall(soundAfter, id, pages);
  if (before === null || after === null || before + after === 0) return null;
  return `pages per call ${before.toFixed(0)} before, ${after.toFixed(0)} after`;
};

const dissent = (outcome: Outcome, statements: readonly StatementVerdict[]): string | null => {
  const worse = statements.filter((one) => one.outcome === "worse");
  if (worse.length === 0) return null;
  const list = worse.map((one) => `${one.statementId} ${percent(one.change ?? 0)}`).join(", ");
  const count = worse.length === 1 ? "one statement" : `${worse.length} statements`;
  return outcome === "better" ? `worse on ${count} while better overall: ${list}` : `worse on ${count}: ${list}`;
};

const describeWrites = (writes: WriteVerdict | null): string | null => {
  if (writes === null) return null;
  const { change, interval, walPerRowBefore, walPerRowAfter, hot } = writes;
  const parts = [
    ...(change === null || interval === null ? [] : [`writes of the table ${percent(change)} (${between(interval)})`]),
    ...(walPerRowBefore === null || walPerRowAfter === null
      ? []
      : [`write-ahead log per row ${walPerRowBefore.toFixed(0)} bytes before, ${walPerRowAfter.toFixed(0)} after`]),
    ...(hot === undefined || hot === null ? [] : describeHot(hot)),
  ];
  return parts.length === 0 ? null : sentence(parts);
};

const describeHot = ({ shareBefore, shareAfter, interval }: HotVerdict): readonly string[] => {
  if (shareBefore === null || shareAfter === null) return [];
  const shown = `heap-only (HOT) updates ${share(shareBefore)} before, ${share(shareAfter)} after`;
  if (interval === null) return [shown];
  const points = (value: number): string => `${value < 0 ? "−" : "+"}${Math.abs(value * 100).toFixed(1)}`;
  const told = `${shown} (between ${points(interval.low)} and ${points(interval.high)} points)`;
  return [interval.high < 0 ? `${told}: more updates make an entry in every index of the table` : told];
};

const describeDrift = (drift: number | null, allowance: number | null): string =>
  allowance !== null
    ? `untouched statements are too noisy to tell a drift of the whole server, so one by a factor of ${String(allowance)} is allowed for`
    : drift === null
      ? "no untouched statements to compare with, so a drift of the whole server is not taken out"
      : `untouched statements changed by ${percent(Math.expm1(drift))}, which is taken out`;
