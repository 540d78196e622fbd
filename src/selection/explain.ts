import type { DeclinedCandidate, HypotheticalIndex } from "../domain/index.ts";
import type { CostSource } from "./cost-source.ts";
import { type Examination, percent, type StatementBefore } from "./gate.ts";
import type { Chosen, Objective } from "./objective.ts";

export interface DeclinedInput {
  readonly objective: Objective;
  readonly costs: CostSource;
  readonly hidden: ReadonlySet<number>;
  readonly statements: readonly StatementBefore[];
  readonly chosen: Chosen;
  /** Taken out by the gate, with its words. */
  readonly banned: ReadonlyMap<number, { readonly code: string; readonly reason: string }>;
  readonly capacityBytes: number;
  readonly examination: Examination;
  readonly minimumGain: number;
  /** Whether the search ended by itself. */
  readonly complete: boolean;
}

/** Why each candidate was not chosen, with the numbers. Asks what its statements would cost with it added to the chosen set. */
export const explainDeclined = async (input: DeclinedInput): Promise<DeclinedCandidate[]> => {
  const { objective, costs, hidden, examination, chosen } = input;
  const chosenIds = new Set([...chosen].flatMap((number) => objective.candidates[number]?.id ?? []));
  const after = new Map(examination.statements.map((statement) => [statement.statementId, statement]));
  const before = new Map(input.statements.map((statement) => [statement.statementId, statement]));
  const left = [...objective.candidates.entries()].filter(([number]) => !chosen.has(number));

  const questions = left.flatMap(([number, candidate]) =>
    objective.statementsOf(number).map((statementId) => ({ number, candidate, statementId })),
  );
  const [together, alone] = [
    await costs.costs(
      questions.map(({ candidate, statementId }) => ({
        statementId,
        visible: new Set(chosenIds).add(candidate.id),
        hidden,
      })),
    ),
    await costs.costs(
      questions.map(({ candidate, statementId }) => ({ statementId, visible: new Set([candidate.id]), hidden })),
    ),
  ];
  const effects = new Map<number, Effect>();
  for (const [position, { number, statementId }] of questions.entries()) {
    const effect = effects.get(number) ?? { saving: 0, gain: 0, served: [] };
    effects.set(number, effect);
    const now = after.get(statementId);
    const both = together[position];
    const single = alone[position];
    if (now === undefined || both?.kind !== "costed") continue;
    effect.saving += now.weight * (now.costAfter - both.cost);
    if (now.costAfter > 0) effect.gain = Math.max(effect.gain, 1 - both.cost / now.costAfter);
    if (single?.kind === "costed" && single.cost < (before.get(statementId)?.costBefore ?? 0))
      effect.served.push(statementId);
  }
  return left.map(([number, candidate]) => {
    const effect = effects.get(number);
    const verdict = input.banned.get(number) ?? judge(input, candidate, effect, after);
    return {
      definition: candidate.definition,
      code: verdict.code,
      reason: verdict.reason,
      statementIds: objective.statementsOf(number),
    };
  });
};

interface Effect {
  /** Σ weight × cost that it would save beside the chosen ones. */
  saving: number;
  gain: number;
  /** Statements that it alone would help. */
  served: string[];
}

/** Savings below this share of the cost are rounding. */
const leastSaving = 1e-6;

const judge = (
  input: DeclinedInput,
  candidate: HypotheticalIndex,
  effect: Effect | undefined,
  after: ReadonlyMap<string, Examination["statements"][number]>,
): { readonly code: string; readonly reason: string } => {
  const { objective, chosen, capacityBytes } = input;
  const free = capacityBytes - objective.sizeOf(chosen);
  const size = `${megabytes(candidate.estimatedBytes)} MB`;
  if (candidate.estimatedBytes > capacityBytes) {
    return { code: "budget", reason: `it takes ${size}, more than the whole budget of ${megabytes(capacityBytes)} MB` };
  }
  if (effect === undefined) return { code: "not_used", reason: "the planner uses it for no statement" };
  const total = objective.value(chosen).upper;
  if (effect.saving <= total * leastSaving) {
    const rivals = new Set(effect.served.flatMap((id) => after.get(id)?.used ?? []));
    if (rivals.size === 0) return { code: "not_used", reason: "it makes no statement cheaper" };
    const names = objective.candidates.filter((one) => rivals.has(one.id)).map(describe);
    return { code: "redundant", reason: `its statements are served as well or better by ${names.join(", ")}` };
  }
  if (effect.gain < input.minimumGain) {
    return {
      code: "gain_too_small",
      reason: `beside the chosen indexes it makes no statement cheaper by more than ${percent(effect.gain)} (${percent(input.minimumGain)} are asked for)`,
    };
  }
  if (candidate.estimatedBytes > free) {
    return {
      code: "budget",
      reason: `it would save another ${percent(effect.saving / total)} of the cost but takes ${size}, and ${megabytes(free)} MB are free`,
    };
  }
  return input.complete
    ? { code: "redundant", reason: "what it would save is less than what it costs to keep" }
    : { code: "search_limit", reason: "the search ended at its limit before this one was examined" };
};

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);

const describe = ({ definition }: HypotheticalIndex): string => {
  const keys = definition.keys.map((key) => key.column).join(", ");
  const include = definition.include.length > 0 ? ` include (${definition.include.join(", ")})` : "";
  return `${definition.table.name} (${keys})${include}`;
};
