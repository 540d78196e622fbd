import type {
  Binding,
  HypotheticalIndex,
  Statement,
  TableAccess,
  WhatIfPlanner,
  WhatIfRequest,
} from "../domain/index.ts";
import { type IndexSet, KnownPlans } from "./known-plans.ts";
import { mayUse } from "./relevance.ts";

/** One statement under one configuration: new indexes it may use, existing ones it may not. */
export interface CostQuery {
  readonly statementId: string;
  /** `HypotheticalIndex.id`. */
  readonly visible: ReadonlySet<string>;
  /** OIDs of existing indexes. Taken as empty where the planner cannot hide. */
  readonly hidden: ReadonlySet<number>;
}

export type CostAnswer =
  | {
      readonly kind: "costed";
      /** Planner cost of one call: Σ share × total cost over the statement's bindings. */
      readonly cost: number;
      /** Ids of the hypothetical indexes that the plans use. */
      readonly used: readonly string[];
    }
  | { readonly kind: "failed"; readonly reason: string };

/** Costs of statements under configurations, asked of a what-if planner as rarely as possible. */
export interface CostModel {
  /** EXPLAINs sent so far. */
  readonly whatIfCalls: number;
  /** EXPLAINs that were not needed, because the answer was known or followed from what was. */
  readonly skipped: number;
  /** Ids of the indexes that could change this statement's plan. */
  relevant(statementId: string): readonly string[];
  /**
   * Costs, in the order of the queries; what is not known is planned, all in one batch. `planned` asks for a plan under exactly the relevant
   * part of the configuration even where the cost follows from others.
   */
  costs(queries: readonly CostQuery[], precision?: "derived" | "planned"): Promise<readonly CostAnswer[]>;
}

export interface CostModelInput {
  readonly planner: WhatIfPlanner;
  readonly statements: readonly Statement[];
  /** By statement id; for a statement that is missing, every index counts as relevant. */
  readonly accesses: ReadonlyMap<string, readonly TableAccess[]>;
  readonly hypothetical: readonly HypotheticalIndex[];
}

interface Unit {
  readonly binding: Binding;
  /** By the set of hidden indexes. */
  readonly known: Map<string, KnownPlans>;
}

interface Subject {
  readonly statement: Statement;
  readonly relevant: readonly HypotheticalIndex[];
  readonly position: ReadonlyMap<string, number>;
  readonly units: readonly Unit[];
}

/** @throws Error when asked about a statement that was not given. */
export const createCostModel = ({ planner, statements, accesses, hypothetical }: CostModelInput): CostModel => {
  let whatIfCalls = 0;
  let skipped = 0;
  const names = new Map(
    hypothetical.flatMap((index) => [[index.id, index.id] as const, [index.planName, index.id] as const]),
  );
  const subjects = new Map(
    statements.map((statement): [string, Subject] => {
      const relevant = hypothetical.filter((index) => mayUse(accesses.get(statement.id), index));
      return [
        statement.id,
        {
          statement,
          relevant,
          position: new Map(relevant.map((index, position) => [index.id, position])),
          units: statement.bindings.map((binding) => ({ binding, known: new Map<string, KnownPlans>() })),
        },
      ];
    }),
  );
  const subjectOf = (id: string): Subject => {
    const subject = subjects.get(id);
    if (subject === undefined) throw new Error(`the cost model was not given statement ${id}`);
    return subject;
  };
  const toSet = (subject: Subject, ids: Iterable<string>): IndexSet => {
    let set = 0n;
    for (const id of ids) {
      const position = subject.position.get(id);
      if (position !== undefined) set |= 1n << BigInt(position);
    }
    return set;
  };
  const toIds = (subject: Subject, set: IndexSet): string[] =>
    subject.relevant.filter((_, position) => (set >> BigInt(position)) & 1n).map((index) => index.id);
  const none: ReadonlySet<number> = new Set();
  const hiddenOf = (query: CostQuery): ReadonlySet<number> => (planner.canHide ? query.hidden : none);
  const hiddenKey = (query: CostQuery): string => [...hiddenOf(query)].toSorted((a, b) => a - b).join(",");
  const knownOf = (unit: Unit, query: CostQuery): KnownPlans => {
    const key = hiddenKey(query);
    const known = unit.known.get(key) ?? new KnownPlans();
    unit.known.set(key, known);
    return known;
  };

  const plan = async (
    wanted: readonly { subject: Subject; unit: Unit; query: CostQuery; visible: IndexSet }[],
  ): Promise<void> => {
    const results = await planner.plan(
      wanted.map(({ subject, unit, query, visible }): WhatIfRequest => ({
        binding: unit.binding,
        scope: subject.statement.scope,
        visible: new Set(toIds(subject, visible)),
        hidden: hiddenOf(query),
      })),
    );
    whatIfCalls += wanted.length;
    for (const [position, { subject, unit, query, visible }] of wanted.entries()) {
      const result = results[position];
      if (result === undefined) throw new Error("the what-if planner answered fewer requests than it was asked");
      const known = knownOf(unit, query);
      if (result.kind === "failed") known.refuse(visible, result.reason);
      else
        known.add(
          visible,
          toSet(
            subject,
            result.usedIndexes.flatMap((name) => names.get(name) ?? []),
          ),
          result.totalCost,
        );
    }
  };

  const answer = (query: CostQuery, precision: "derived" | "planned"): CostAnswer => {
    const subject = subjectOf(query.statementId);
    const visible = toSet(subject, query.visible);
    let cost = 0;
    let used = 0n;
    for (const unit of subject.units) {
      const known = knownOf(unit, query);
      const plan = precision === "planned" ? known.planned(visible) : known.exact(visible);
      if (plan === null) return { kind: "failed", reason: known.refusal(visible) ?? "it was not planned" };
      cost += unit.binding.share * plan.cost;
      used |= plan.used;
    }
    return { kind: "costed", cost, used: toIds(subject, used) };
  };

  return {
    get whatIfCalls() {
      return whatIfCalls;
    },
    get skipped() {
      return skipped;
    },
    relevant: (statementId) => subjectOf(statementId).relevant.map((index) => index.id),
    async costs(queries, precision = "derived") {
      const wanted = new Map<string, { subject: Subject; unit: Unit; query: CostQuery; visible: IndexSet }>();
      for (const query of queries) {
        const subject = subjectOf(query.statementId);
        const visible = toSet(subject, query.visible);
        for (const [number, unit] of subject.units.entries()) {
          const known = knownOf(unit, query);
          const key = [query.statementId, number, visible, hiddenKey(query)].join(" ");
          const isKnown =
            (precision === "planned" ? known.planned(visible) : known.exact(visible)) !== null ||
            known.refusal(visible) !== null ||
            wanted.has(key);
          if (isKnown) skipped += 1;
          else wanted.set(key, { subject, unit, query, visible });
        }
      }
      if (wanted.size > 0) await plan([...wanted.values()]);
      return queries.map((query) => answer(query, precision));
    },
  };
};
