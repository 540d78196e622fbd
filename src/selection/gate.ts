import { type HypotheticalIndex, offersAllOf } from "../domain/index.ts";
import type { CostSource } from "./cost-source.ts";
import type { Chosen, WeightedStatement } from "./objective.ts";

export interface StatementBefore extends WeightedStatement {
  /** Planner cost per call, as things are. */
  readonly costBefore: number;
}

export interface ExaminedStatement extends StatementBefore {
  readonly costAfter: number;
  /** Ids of the new indexes its plans use. */
  readonly used: readonly string[];
}

/** What the planner says of a finished set, planned rather than derived. */
export interface Examination {
  /** The chosen ones that some plan uses; the others are of no use and left out. */
  readonly used: Chosen;
  readonly statements: readonly ExaminedStatement[];
  /** Per used index: what the statements it serves would cost without it. */
  readonly indexes: readonly {
    readonly number: number;
    /** The largest share by which a statement that it serves is cheaper than now. */
    readonly gainInAll: number;
    /** The largest share by which it alone, given the others, makes a statement cheaper, of those that are enough cheaper than now. */
    readonly gain: number;
    /** Σ weight × cost that it saves, given the others. */
    readonly saving: number;
    /** The same by statement, largest first. */
    readonly gains: readonly { readonly statementId: string; readonly saving: number }[];
  }[];
}

export interface Examined {
  readonly candidates: readonly HypotheticalIndex[];
  readonly costs: CostSource;
  readonly hidden: ReadonlySet<number>;
  readonly statements: readonly StatementBefore[];
  readonly chosen: Chosen;
  readonly minimumGain: number;
}

export const examine = async (input: Examined): Promise<Examination> => {
  const { candidates, costs, hidden, minimumGain } = input;
  const idsOf = (set: Iterable<number>): string[] => [...set].flatMap((number) => candidates[number]?.id ?? []);
  let used = input.chosen;
  let statements: ExaminedStatement[];
  for (;;) {
    const visible = new Set(idsOf(used));
    const answers = await costs.costs(
      input.statements.map(({ statementId }) => ({ statementId, visible, hidden })),
      "planned",
    );
    statements = input.statements.map((statement, position) => {
      const answer = answers[position];
      return answer?.kind === "costed"
        ? { ...statement, costAfter: answer.cost, used: answer.used }
        : // Not plannable with these indexes though it was without: as bad as can be, so the gate takes them away.
          { ...statement, costAfter: Number.POSITIVE_INFINITY, used: [...visible] };
    });
    const needed = new Set(statements.flatMap((statement) => statement.used));
    const remaining = new Set([...used].filter((number) => needed.has(candidates[number]?.id ?? "")));
    if (remaining.size === used.size) break;
    used = remaining;
  }

  const questions = [...used].flatMap((number) => {
    const id = candidates[number]?.id ?? "";
    const visible = new Set(idsOf(used).filter((other) => other !== id));
    return statements
      .filter((statement) => statement.used.includes(id))
      .map((statement) => ({ number, statement, query: { statementId: statement.statementId, visible, hidden } }));
  });
  const answers = await costs.costs(questions.map(({ query }) => query));
  const found = new Map(
    [...used].map((number) => [
      number,
      { gain: 0, gainInAll: 0, saving: 0, gains: [] as { readonly statementId: string; readonly saving: number }[] },
    ]),
  );
  for (const [position, { number, statement }] of questions.entries()) {
    const answer = answers[position];
    const entry = found.get(number);
    if (answer?.kind !== "costed" || entry === undefined || answer.cost <= 0) continue;
    const inAll = 1 - statement.costAfter / statement.costBefore;
    entry.gainInAll = Math.max(entry.gainInAll, inAll);
    if (inAll >= minimumGain) entry.gain = Math.max(entry.gain, 1 - statement.costAfter / answer.cost);
    const saving = statement.weight * (answer.cost - statement.costAfter);
    entry.saving += saving;
    entry.gains.push({ statementId: statement.statementId, saving });
  }
  for (const { gains } of found.values()) gains.sort((a, b) => b.saving - a.saving);
  return { used, statements, indexes: [...found].map(([number, entry]) => ({ number, ...entry })) };
};

export interface GateLimits {
  /** A statement that it serves must be cheaper by this share than now, with all indexes. */
  readonly minimumGain: number;
  /** Of that, it must bring this share beside the others: less could not be told from nothing on live traffic. */
  readonly minimumOwnGain: number;
  /** An index must save at least this share of the whole workload: the planner knows nothing of the writes that it costs. */
  readonly minimumShare: number;
  readonly maximumHarm: number;
  /** What a candidate costs by being there. */
  readonly upkeepOf: (number: number) => number;
}

/** An index that may not be chosen, and why. */
export interface Ban {
  readonly number: number;
  readonly code: string;
  readonly reason: string;
}

/** An index beside one that begins with its keys must save so many times the share that any other must: its drop would be proposed as soon as both stood. */
const besideWider = 10;

/** The index that must go first for the set to pass the gate, or null when it passes. */
export const weakestLink = (
  { statements, indexes }: Examination,
  limits: GateLimits,
  candidates: readonly HypotheticalIndex[],
): Ban | null => {
  const bySaving = indexes.toSorted((a, b) => a.saving - b.saving || a.number - b.number);
  const harmed = statements.find(({ costBefore, costAfter }) => costAfter > costBefore * (1 + limits.maximumHarm));
  if (harmed !== undefined) {
    const culprit = bySaving.find(({ number }) => harmed.used.includes(candidates[number]?.id ?? ""));
    if (culprit !== undefined) {
      return {
        number: culprit.number,
        code: "harms_statement",
        reason: `a statement that uses it would cost ${harmed.costAfter.toFixed(0)} instead of ${harmed.costBefore.toFixed(0)}`,
      };
    }
  }
  const whole = statements.reduce((sum, { weight, costBefore }) => sum + weight * costBefore, 0);
  const [least] = bySaving;
  if (least !== undefined && least.saving < limits.minimumShare * whole) {
    return {
      number: least.number,
      ...savesTooLittle(least.saving / whole, limits.minimumShare),
    };
  }
  const eaten = bySaving.find(({ number, saving }) => saving <= limits.upkeepOf(number));
  if (eaten !== undefined && limits.upkeepOf(eaten.number) > 0) {
    return { number: eaten.number, ...writesCostMore(eaten.saving, limits.upkeepOf(eaten.number)) };
  }
  const superfluous = bySaving.find(({ number, gain, saving }) => {
    if (saving >= besideWider * limits.minimumShare * whole) return false;
    const own = candidates[number]?.definition;
    const others = indexes.flatMap((one) => (one.number === number ? [] : (candidates[one.number]?.definition ?? [])));
    const isOffered = own !== undefined && others.some((other) => offersAllOf(other, own));
    return isOffered && 1 / (1 - gain) <= 1 + limits.maximumHarm;
  });
  if (superfluous !== undefined) {
    return {
      number: superfluous.number,
      code: "redundant",
      reason: `another one that was chosen begins with its keys, and beside it this one saves ${percent(superfluous.saving / whole)} of the workload`,
    };
  }
  const weak = bySaving.find(({ gain }) => gain < limits.minimumOwnGain);
  return weak === undefined ? null : { number: weak.number, ...gainsTooLittle(weak, limits) };
};

/** @param share of the workload's cost */
export const savesTooLittle = (
  share: number,
  minimumShare: number,
): { readonly code: string; readonly reason: string } => ({
  code: "gain_too_small",
  reason: `beside the other indexes it saves ${(100 * Math.max(0, share)).toPrecision(1)} % of the workload (${percent(minimumShare)} are asked for)`,
});

export const gainsTooLittle = (
  { gain, gainInAll }: { readonly gain: number; readonly gainInAll: number },
  { minimumGain, minimumOwnGain }: Pick<GateLimits, "minimumGain" | "minimumOwnGain">,
): { readonly code: string; readonly reason: string } => ({
  code: "gain_too_small",
  reason:
    gainInAll < minimumGain
      ? `it makes no statement cheaper by more than ${percent(gainInAll)} (${percent(minimumGain)} are asked for)`
      : `beside the other indexes it makes no statement cheaper by more than ${percent(gain)} (${percent(minimumOwnGain)} are asked for)`,
});

/** Only measured statements are weighed against writes, so both are milliseconds. */
export const writesCostMore = (saving: number, upkeep: number): { readonly code: string; readonly reason: string } => ({
  code: "writes_cost_more",
  reason: `its reads would save ${milliseconds(saving)} of the observed period, and writes would pay ${milliseconds(upkeep)} for it`,
});

const milliseconds = (value: number): string => `${value.toPrecision(3)} ms`;

export const percent = (share: number): string => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
