import { createRequire } from "node:module";
import type { Highs, ModelData } from "highs";

// The package's types say that its ES module has no callable default, which is wrong of that and right of its CommonJS form.
const load = createRequire(import.meta.url)("highs") as () => Promise<Highs>;
let highs: Promise<Highs> | null = null;

/** The distance to the optimum that is near enough. Further effort is limited by nodes of branch and bound: a limit in seconds alone would let the answer depend on the machine. */
const solverGap = 1e-3;

/** As good as no limit; the solver takes no infinity here. */
const longestSeconds = 1e7;

/** Constraints hold, and so does the optimum, to about this precision, where costs add up to about one. */
const solverTolerance = 1e-6;

export interface Solution {
  /** By column. */
  readonly values: ArrayLike<number>;
  /** No solution of the program has a lower value, even where the search ended at its limit. */
  readonly bound: number;
}

type Entry = readonly [column: number, value: number];

/** A mixed-integer program that is minimised; every variable is between 0 and 1. */
export class Program {
  readonly #costs: number[] = [];
  readonly #integer: (0 | 1)[] = [];
  readonly #starts: number[] = [0];
  readonly #indices: number[] = [];
  readonly #values: number[] = [];
  readonly #lower: number[] = [];
  readonly #upper: number[] = [];

  addChoice(cost: number): number {
    return this.#addColumn(cost, 1);
  }

  addShare(cost: number): number {
    return this.#addColumn(cost, 0);
  }

  #addColumn(cost: number, integer: 0 | 1): number {
    this.#costs.push(cost);
    this.#integer.push(integer);
    return this.#costs.length - 1;
  }

  atLeast(bound: number, entries: readonly Entry[]): void {
    this.#addRow(bound, Number.POSITIVE_INFINITY, entries);
  }

  atMost(bound: number, entries: readonly Entry[]): void {
    this.#addRow(Number.NEGATIVE_INFINITY, bound, entries);
  }

  #addRow(lower: number, upper: number, entries: readonly Entry[]): void {
    for (const [column, value] of entries) {
      this.#indices.push(column);
      this.#values.push(value);
    }
    this.#starts.push(this.#indices.length);
    this.#lower.push(lower);
    this.#upper.push(upper);
  }

  /**
   * With no nodes to search, the relaxation, whose choices may be in part. Deterministic, unless the time runs out.
   * By HiGHS (Huangfu and Hall, Mathematical Programming Computation 2018), in WebAssembly.
   */
  async minimise(limitMs: number, nodes: number): Promise<Solution> {
    if (this.#costs.length === 0) return { values: [], bound: 0 };
    const solver = await (highs ??= load());
    return solver.withModel(this.#data(), (model) => {
      model.options.set({
        output_flag: false,
        random_seed: 0,
        time_limit: Number.isFinite(limitMs) ? limitMs / 1000 : longestSeconds,
        mip_max_nodes: nodes,
        mip_rel_gap: solverGap,
        solve_relaxation: nodes === 0,
      });
      model.run();
      const isOptimal = model.getModelStatus() === solver.constants.modelStatus.optimal;
      // A relaxation whose solution was broken off says nothing of the optimum; a search by branch and bound always does.
      const relaxed = isOptimal ? Number(model.info.get("objective_function_value")) - solverTolerance : 0;
      const bound = nodes === 0 ? relaxed : Number(model.info.get("mip_dual_bound"));
      return { values: model.getSolution().colValue, bound: Number.isFinite(bound) ? bound : 0 };
    });
  }

  #data(): ModelData {
    const [numCols, numRows] = [this.#costs.length, this.#lower.length];
    return {
      numCols,
      numRows,
      colCost: this.#costs,
      colLower: this.#costs.map(() => 0),
      colUpper: this.#costs.map(() => 1),
      rowLower: this.#lower,
      rowUpper: this.#upper,
      integrality: this.#integer,
      matrix: {
        format: "csr",
        numRows,
        numCols,
        starts: this.#starts,
        indices: this.#indices,
        values: this.#values,
      },
    };
  }
}
