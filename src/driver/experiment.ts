import { tableId } from "../domain/index.ts";
import { failure } from "../errors.ts";
import { firstRandom, seedFrom } from "../runtime/index.ts";
import type { Gate } from "../sql/index.ts";

/** An index on trial, as the application's side must know it. */
export type GateExperiment = Gate & {
  readonly id: string;
  /** Which part of the units is drawn for the treatment, from 0 to 1. */
  readonly share: number;
  /** What the other units state, where the control has an index of its own on the same table. */
  readonly control?: Gate;
} & (
    | {
        /**
         * What is drawn: each transaction anew (a statement outside of any is one of its own), or each connection once. Where the pool is small,
         * connections are too few to be split.
         */
        readonly unit: "transaction" | "session";
      }
    | {
        /** Slices of time are drawn, the same in every process: all statements of one are in the same arm (a switchback). A transaction may meet both. */
        readonly unit: "slice";
        /** Milliseconds; slices are counted from the epoch. */
        readonly sliceMs: number;
      }
  );

/** `treatment` states the gate and may use the index; `control` cannot, and states a gate of its own where it has one. */
export type Arm = "treatment" | "control";

/**
 * Whether a unit (a transaction, a session, a request, a user: whatever `unit` names) belongs to the canary. A hash of experiment and unit: the same
 * answer every time and in every process, and another draw in every experiment.
 */
export const shouldUseCanary = (experiment: Pick<GateExperiment, "id" | "share">, unit: string): boolean =>
  firstRandom(seedFrom(`${experiment.id} ${unit}`)) < experiment.share;

/** The same draw for a unit that numbers name: no text to make, for it stands before every statement on the table. */
export const drawsNumbered = (share: number, seed: number, transaction: number): boolean =>
  firstRandom(seed ^ Math.imul(transaction, 0x85ebca6b)) < share;

/** @throws IndexPilotError `experiment_invalid`. */
export const checkExperiments = (experiments: readonly GateExperiment[]): void => {
  const problem = (text: string): never => {
    throw failure("experiment_invalid", { problem: text });
  };
  const tables = new Set<string>();
  for (const experiment of experiments) {
    const { id, share, number, table, unit } = experiment;
    if (!(share >= 0 && share <= 1)) problem(`the share of experiment ${id} is ${share}, not a number from 0 to 1`);
    for (const one of [number, experiment.control?.number ?? 1]) {
      if (Number.isInteger(one) && one >= 1 && one <= 2_147_483_647) continue;
      problem(`the gate's number of experiment ${id} is ${one}, not a whole number from 1 to 2147483647`);
    }
    if (experiment.control !== undefined && tableId(experiment.control.table) !== tableId(table)) {
      problem(`the arms of experiment ${id} are on two tables`);
    }
    if (unit !== "transaction" && unit !== "session" && unit !== "slice")
      problem(`experiment ${id} draws neither transactions nor sessions nor slices of time`);
    if (unit === "slice" && !(experiment.sliceMs > 0)) problem(`the slices of experiment ${id} have no length`);
    if (tables.has(tableId(table))) problem(`table ${table.schema}.${table.name} is in two experiments`);
    tables.add(tableId(table));
  }
};
