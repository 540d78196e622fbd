import { type Alternative, type DeclinedCandidate, type HypotheticalIndex, tableId } from "../domain/index.ts";
import { type Examination, gainsTooLittle, type GateLimits, percent, savesTooLittle, writesCostMore } from "./gate.ts";
import type { Room } from "./limits.ts";
import type { Chosen, Effect, Objective } from "./objective.ts";

export interface DeclinedInput {
  readonly objective: Objective;
  readonly chosen: Chosen;
  /** Taken out by the gate, with its words. */
  readonly banned: ReadonlyMap<number, { readonly code: string; readonly reason: string }>;
  readonly room: Room;
  readonly capacityBytes: number;
  readonly examination: Examination;
  /** Of the whole workload. */
  readonly costBefore: number;
  readonly limits: GateLimits;
  /** Whether the search ended by itself. */
  readonly complete: boolean;
}

/** Why each candidate was not chosen, with the numbers, by what the search has learned. */
export const explainDeclined = (input: DeclinedInput): DeclinedCandidate[] => {
  const { objective, chosen } = input;
  const trial = objective.trial(chosen);
  return [...objective.candidates.entries()].flatMap(([number, candidate]) => {
    if (chosen.has(number)) return [];
    const verdict = input.banned.get(number) ?? judge(input, number, candidate, trial.effect(number));
    return [
      {
        definition: candidate.definition,
        code: verdict.code,
        reason: verdict.reason,
        statementIds: objective.statementsOf(number),
      },
    ];
  });
};

/**
 * For each chosen index the candidate on the same table that would do best in its place, by what the search has learned; null where none would help.
 * What the gate took away does not count.
 */
export const alternatives = ({
  objective,
  chosen,
  banned,
  room,
}: Pick<DeclinedInput, "objective" | "chosen" | "banned" | "room">): ReadonlyMap<number, Alternative | null> =>
  new Map(
    [...chosen].map((number) => {
      const trial = objective.trial(chosen);
      trial.remove(number);
      const loss = trial.effect(number).saving;
      const table = tableOf(objective.candidates[number]);
      let best: Alternative | null = null;
      for (const [other, { definition, estimatedBytes }] of objective.candidates.entries()) {
        if (chosen.has(other) || banned.has(other) || !objective.interact(number, other)) continue;
        if (tableOf(objective.candidates[other]) !== table) continue;
        const { saving } = trial.effect(other);
        if (saving <= 0 || !room.fits(trial.members, other)) continue;
        const worseBy = Math.max(0, loss - saving);
        if (best === null || worseBy < best.worseBy) best = { definition, estimatedBytes, worseBy };
      }
      return [number, best];
    }),
  );

const tableOf = (candidate: HypotheticalIndex | undefined): string | null =>
  candidate === undefined ? null : tableId(candidate.definition.table);

/** Savings below this share of the cost are rounding. */
const leastSaving = 1e-6;

const judge = (
  input: DeclinedInput,
  number: number,
  { estimatedBytes }: HypotheticalIndex,
  effect: Effect,
): { readonly code: string; readonly reason: string } => {
  const { objective, chosen, room, capacityBytes } = input;
  const free = capacityBytes - objective.sizeOf(chosen);
  const size = `${megabytes(estimatedBytes)} MB`;
  if (!room.fits(new Set(), number)) {
    const reason =
      estimatedBytes > capacityBytes
        ? `it takes ${size}, more than the whole budget of ${megabytes(capacityBytes)} MB`
        : "its table or schema has as many indexes, or as many bytes of them, as are allowed";
    return { code: "budget", reason };
  }
  const total = objective.value(chosen).upper;
  const upkeep = objective.upkeepOf(number);
  const saving = effect.saving + upkeep;
  if (saving <= total * leastSaving) {
    const served = new Set(objective.statementsOf(number));
    const rivals = new Set(
      input.examination.statements.flatMap(({ statementId, used }) => (served.has(statementId) ? used : [])),
    );
    if (rivals.size > 0) {
      const names = objective.candidates.filter((one) => rivals.has(one.id)).map(describe);
      return { code: "redundant", reason: `its statements are served as well or better by ${names.join(", ")}` };
    }
    if (!input.complete) return searchLimit;
    return objective.isUsable(number)
      ? { code: "not_used", reason: "it makes no statement cheaper" }
      : { code: "not_used", reason: "the planner uses it for no statement" };
  }
  if (upkeep >= saving) return writesCostMore(saving, upkeep);
  const share = saving / input.costBefore;
  if (share < input.limits.minimumShare) return savesTooLittle(share, input.limits.minimumShare);
  if (effect.gain < input.limits.minimumOwnGain) return gainsTooLittle(effect, input.limits);
  if (!room.fits(chosen, number)) {
    const room = estimatedBytes > free ? `${megabytes(free)} MB are free` : "its table or schema has its share already";
    return {
      code: "budget",
      reason: `it would save another ${percent(saving / total)} of the cost but takes ${size}, and ${room}`,
    };
  }
  return input.complete
    ? { code: "redundant", reason: "what it would save is less than what it costs to keep" }
    : searchLimit;
};

const searchLimit = {
  code: "search_limit",
  reason: "the search ended at its limit before this one was examined",
};

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);

const describe = ({ definition }: HypotheticalIndex): string => {
  const keys = definition.keys.map((key) => key.column).join(", ");
  const include = definition.include.length > 0 ? ` include (${definition.include.join(", ")})` : "";
  return `${definition.table.name} (${keys})${include}`;
};
