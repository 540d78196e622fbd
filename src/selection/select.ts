import type {
  Alternative,
  ChosenIndex,
  Configuration,
  HypotheticalIndex,
  IndexDefinition,
  ProposedDrop,
  StatementCost,
  TableName,
} from "../domain/index.ts";
import type { Clock } from "../runtime/index.ts";
import { type SearchContext, type SelectionAlgorithm, selectionAlgorithms } from "./algorithm.ts";
import type { CostQuery, CostSource } from "./cost-source.ts";
import { harmlessDrops } from "./drops.ts";
import { alternatives, explainDeclined } from "./explain.ts";
import { type Ban, type Examination, examine, type StatementBefore } from "./gate.ts";
import { Room } from "./limits.ts";
import { Objective } from "./objective.ts";
import { passGate } from "./pass-gate.ts";
import { prove } from "./prove.ts";
import { survey } from "./survey.ts";
import { type WeightUnit, workloadWeights } from "./weights.ts";

export type Goal = "time" | "worst-query" | "storage";

export interface SelectionInput {
  readonly statements: readonly {
    readonly id: string;
    readonly calls: number;
    /** Measured milliseconds in the observed period; null when not measured. */
    readonly totalMs: number | null;
  }[];
  readonly candidates: readonly HypotheticalIndex[];
  readonly costs: CostSource;
  /** Bytes created minus bytes dropped may not exceed it. */
  readonly budgetBytes: number;
  /** Bytes of the new indexes of any one table, and of any one schema. No limit by default. */
  readonly maxBytesPerTable?: number;
  readonly maxBytesPerSchema?: number;
  /** How many new indexes may come to a table. No limit by default. */
  readonly maxIndexesOn?: (table: TableName) => number;
  /** Existing indexes that could go; each goes only if no statement is harmed. */
  readonly drops?: readonly ProposedDrop[];
  /** Existing indexes that these new ones could replace; each goes only if no statement is harmed. Their bytes are freed after the search: it has no use of them. */
  readonly replacements?: (created: readonly IndexDefinition[]) => readonly ProposedDrop[];
  /** A statement that an index serves must become cheaper by this share than it is now, by all new indexes. Default 0.2. */
  readonly minimumGain?: number;
  /**
   * Such a statement must be cheaper by this share with the index than without it, beside the others. Default 0.05, the margin within which a verdict calls
   * a change equivalent; never more than `minimumGain`.
   */
  readonly minimumOwnGain?: number;
  /** An index must save this share of the whole workload's cost, beside the others. Default 0.001. */
  readonly minimumShare?: number;
  /** No statement may become dearer than its present cost by more than this share. Default 0.1. */
  readonly maximumHarm?: number;
  /**
   * What an index costs by being there (entries per write, lost HOT updates), in units of weight × cost; 0 by default. Planner cost knows
   * nothing of it, and only a figure calibrated on the target belongs here.
   */
  readonly upkeep?: (index: HypotheticalIndex) => number;
  /**
   * `time` saves the most time in all. `worst-query` makes the dearest call as cheap as it can, then the whole. `storage` takes as few bytes as give nine tenths
   * of what the whole budget would save. Default `time`.
   */
  readonly goal?: Goal;
  readonly algorithm?: keyof typeof selectionAlgorithms | SelectionAlgorithm;
  readonly clock: Clock;
  /** The search ends there with the best found so far. Default 20,000 EXPLAINs. */
  readonly maxWhatIfCalls?: number;
  /** The same in time, without limit by default: an answer that this ends depends on the machine, all others on the input alone. */
  readonly maxMs?: number;
  /**
   * The search for the bound, which finds better sets on its way, ends when it is so near, as a share of the cost, after so many rounds, or after so many what-if calls
   * in all. Defaults 0.001, 30, and 42 per statement but at least 500.
   */
  readonly targetGap?: number;
  readonly proofRounds?: number;
  readonly proofCalls?: number;
  /** Rounds that may take the solver seconds; all of them by default. */
  readonly slowProofRounds?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: {
    readonly cost: number;
    readonly costBefore: number;
    readonly whatIfCalls: number;
  }) => void;
}

export interface SelectionResult extends Configuration {
  readonly unit: WeightUnit;
  /** Statements that could not be planned, and so took no part. */
  readonly unplanned: readonly { readonly statementId: string; readonly reason: string }[];
  /** False when a bound on calls or time ended the search. */
  readonly complete: boolean;
  /** Time spent in the solver; the one part of the result that is not the same each time. */
  readonly solverMs: number;
}

/** Rounds of the survey: how many alternatives per text are looked for; the twelfth best plan of a statement no longer matters. */
const surveyRounds = 3;

const callsPerStatement = 42;
const leastProofCalls = 500;

/** How often the search is begun anew without what the gate banned; most of what there is to gain comes with the first time. */
const gateRounds = 3;

const nothing: ReadonlySet<never> = new Set<never>();

/**
 * The best configuration that the named algorithm finds, with a reason for every candidate left out.
 * With an emphasis, statements count that many times as much in the search; what is reported is as without, but for the bound, which then says nothing.
 * Declined codes: `budget`, `gain_too_small`, `harms_statement`, `redundant`, `not_used`, `search_limit`.
 * @throws the signal's reason when cancelled
 */
export const selectOnce = async (
  input: SelectionInput,
  emphasis: ReadonlyMap<string, number> | null = null,
): Promise<SelectionResult> => {
  const { candidates, costs, clock, signal } = input;
  const upkeep = input.upkeep ?? (() => 0);
  const upkeeps = candidates.map(upkeep);
  const minimumGain = input.minimumGain ?? 0.2;
  const limits = {
    minimumGain,
    minimumOwnGain: Math.min(minimumGain, input.minimumOwnGain ?? 0.05),
    minimumShare: input.minimumShare ?? 0.001,
    maximumHarm: input.maximumHarm ?? 0.1,
    upkeepOf: (number: number) => upkeeps[number] ?? 0,
  };
  const startedMs = clock.monotonicMs();
  const remainingMs = (): number =>
    signal?.aborted === true
      ? 0
      : Math.max(0, startedMs + (input.maxMs ?? Number.POSITIVE_INFINITY) - clock.monotonicMs());
  const exhausted = (): boolean => remainingMs() <= 0 || costs.whatIfCalls >= (input.maxWhatIfCalls ?? 20_000);

  const { planned, unplanned } = await baseline(input);
  const { unit, weights } = workloadWeights(planned);
  const statements = planned.map((one, position) => ({ ...one, weight: weights[position] ?? 0 }));
  const valued = emphasised(statements, emphasis);
  const callsBefore = costs.whatIfCalls;
  const drops = await harmlessDrops(costs, statements, input.drops ?? [], limits.maximumHarm);
  const hidden = new Set(drops.accepted.map((drop) => drop.index.oid));
  const freedBytes = drops.accepted.reduce((sum, drop) => sum + drop.index.sizeBytes, 0);
  const capacityBytes = input.budgetBytes + freedBytes;

  const subject = { candidates, costs, hidden, statements, minimumGain };
  const objective = new Objective({ ...subject, statements: valued, upkeep });
  const room = new Room(candidates, {
    bytes: capacityBytes,
    bytesPerTable: input.maxBytesPerTable ?? Number.POSITIVE_INFINITY,
    bytesPerSchema: input.maxBytesPerSchema ?? Number.POSITIVE_INFINITY,
    indexesOn: input.maxIndexesOn ?? (() => Number.POSITIVE_INFINITY),
  });
  const fitting = new Set([...candidates.keys()].filter((number) => room.fits(new Set(), number)));
  await survey(objective, fitting, surveyRounds, exhausted);
  const search =
    typeof input.algorithm === "function" ? input.algorithm : selectionAlgorithms[input.algorithm ?? "portfolio+swap"];

  const banned = new Map<number, Ban>();
  const costBefore = statements.reduce((sum, { weight, costBefore }) => sum + weight * costBefore, 0);
  const context = (): SearchContext => ({
    objective,
    allowed: new Set([...fitting].filter((number) => objective.isUsable(number) && !banned.has(number))),
    room,
    demand: { gain: limits.minimumOwnGain, saving: limits.minimumShare * costBefore },
    exhausted,
    remainingMs,
    onImprovement: (cost) => input.onProgress?.({ cost, costBefore, whatIfCalls: costs.whatIfCalls }),
  });
  // The gate depends on the company an index keeps, so it is asked of finished sets; what it bans opens other ways, which the next round looks for.
  const costAfter = (examined: Examination): number =>
    examined.statements.reduce((sum, { costAfter }, position) => sum + (valued[position]?.weight ?? 0) * costAfter, 0) +
    [...examined.used].reduce((sum, number) => sum + (upkeeps[number] ?? 0), 0);
  let examination = await passGate(await search(context()), subject, limits, context, banned);
  for (let round = 1; round < gateRounds && banned.size > 0 && !exhausted(); round += 1) {
    const next = await passGate(await search(context()), subject, limits, context, banned);
    if (costAfter(next) >= costAfter(examination)) break;
    examination = next;
  }
  const proofLimits = {
    gap: input.targetGap ?? 0.001,
    rounds: input.proofRounds ?? 30,
    slowRounds: input.slowProofRounds ?? 30,
    calls: callsBefore + (input.proofCalls ?? Math.max(leastProofCalls, callsPerStatement * statements.length)),
  };
  const proof = await prove(context(), examination.used, fitting, proofLimits, clock);
  if (proof.best !== examination.used) {
    const next = await passGate(proof.best, subject, limits, context, banned);
    if (costAfter(next) < costAfter(examination)) examination = next;
  }
  const replaced = await replacements(input, examination, hidden, limits.maximumHarm);
  if (replaced.accepted.length > 0) {
    const gone = new Set([...hidden, ...replaced.accepted.map((drop) => drop.index.oid)]);
    // What each index saves is beside what is there now: without the one it replaces, any other would look indispensable.
    const { indexes } = examination;
    examination = { ...(await examine({ ...subject, hidden: gone, chosen: examination.used })), indexes };
  }
  signal?.throwIfAborted();
  const chosen = examination.used;

  const complete = !exhausted();
  const declined = explainDeclined({
    objective,
    chosen,
    banned,
    room,
    capacityBytes,
    examination,
    costBefore,
    limits,
    complete,
  });
  const found = costAfter(examination);
  const bound = Math.min(proof.lowerBound, found);
  const model = objective.value(chosen).upper;
  const after = new Map(examination.statements.map((statement) => [statement.statementId, statement]));
  return {
    create: chosenIndexes(candidates, examination, alternatives({ objective, chosen, banned, room })),
    drop: [...drops.accepted, ...replaced.accepted],
    declined: [...declined, ...drops.declined, ...replaced.declined],
    statements: examination.statements.map(({ statementId, costBefore, costAfter, used }): StatementCost => {
      return { statementId, costBefore, costAfter, usedIndexes: used };
    }),
    totals: {
      costBefore,
      costAfter: statements.reduce(
        (sum, { statementId, weight, costBefore }) => sum + weight * (after.get(statementId)?.costAfter ?? costBefore),
        0,
      ),
      sizeBytes:
        objective.sizeOf(chosen) - freedBytes - replaced.accepted.reduce((sum, drop) => sum + drop.index.sizeBytes, 0),
      whatIfCalls: costs.whatIfCalls,
      skippedCalls: costs.skipped,
      ...(emphasis === null ? { bound, gap: found > 0 ? (found - bound) / found : 0 } : {}),
      modelDeviation: found > 0 ? Math.abs(found - model) / found : 0,
    },
    unit,
    unplanned,
    complete,
    solverMs: proof.solverMs,
  };
};

/** The same statements with other weights, in which the whole costs as much as it did, for upkeep to be weighed as before. */
const emphasised = <S extends StatementBefore>(
  statements: readonly S[],
  emphasis: ReadonlyMap<string, number> | null,
): readonly S[] => {
  if (emphasis === null) return statements;
  const of = ({ statementId }: S): number => emphasis.get(statementId) ?? 1;
  const cost = (share: (one: S) => number): number =>
    statements.reduce((sum, one) => sum + share(one) * one.weight * one.costBefore, 0);
  const scale = cost(() => 1) / Math.max(cost(of), Number.MIN_VALUE);
  return statements.map((one) => ({ ...one, weight: one.weight * of(one) * scale }));
};

/** Indexes that the set makes superfluous, where no statement needs them beside it. */
const replacements = async (
  { candidates, costs, drops, replacements: proposed }: SelectionInput,
  { used, statements }: Examination,
  hidden: ReadonlySet<number>,
  maximumHarm: number,
): ReturnType<typeof harmlessDrops> => {
  const created = [...used].flatMap((number) => candidates[number] ?? []);
  const known = new Set((drops ?? []).map((drop) => drop.index.oid));
  const proposals = new Map(
    (proposed?.(created.map(({ definition }) => definition)) ?? [])
      .filter((drop) => !known.has(drop.index.oid))
      .map((drop) => [drop.index.oid, drop]),
  );
  // Neither dearer than now nor than with the index left where it is.
  const best = statements.map((one) => ({ ...one, costBefore: Math.min(one.costBefore, one.costAfter) }));
  const visible = new Set(created.map(({ id }) => id));
  return harmlessDrops(costs, best, [...proposals.values()], maximumHarm, { visible, hidden });
};

const baseline = async ({ statements, costs }: SelectionInput) => {
  const queries = statements.map(({ id }): CostQuery => ({ statementId: id, visible: nothing, hidden: nothing }));
  const answers = await costs.costs(queries);
  const planned: { statementId: string; calls: number; totalMs: number | null; costBefore: number }[] = [];
  const unplanned: { statementId: string; reason: string }[] = [];
  for (const [position, { id, calls, totalMs }] of statements.entries()) {
    const answer = answers[position];
    if (answer?.kind === "costed") planned.push({ statementId: id, calls, totalMs, costBefore: answer.cost });
    else unplanned.push({ statementId: id, reason: answer?.reason ?? "the cost source gave no answer" });
  }
  return { planned, unplanned };
};

const chosenIndexes = (
  candidates: readonly HypotheticalIndex[],
  { used, statements, indexes }: Examination,
  instead: ReadonlyMap<number, Alternative | null>,
): ChosenIndex[] =>
  [...used]
    .flatMap((number): ChosenIndex[] => {
      const index = candidates[number];
      if (index === undefined) return [];
      const served = statements.filter((statement) => statement.used.includes(index.id));
      return [
        {
          index,
          statementIds: served.map((statement) => statement.statementId),
          costBefore: served.reduce((sum, { weight, costBefore }) => sum + weight * costBefore, 0),
          costAfter: served.reduce((sum, { weight, costAfter }) => sum + weight * costAfter, 0),
          gains: indexes.find((one) => one.number === number)?.gains ?? [],
          alternative: instead.get(number) ?? null,
        },
      ];
    })
    .toSorted(
      (a, b) => b.costBefore - b.costAfter - (a.costBefore - a.costAfter) || (a.index.id < b.index.id ? -1 : 1),
    );
