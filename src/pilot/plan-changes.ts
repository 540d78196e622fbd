import type {
  ChosenIndex,
  Configuration,
  Statement,
  WhatIfPlanner,
  WhatIfRequest,
  WhatIfResult,
} from "../domain/index.ts";
import { type Plan, statementRisks } from "../plan/index.ts";
import type { IndexRisk } from "../selection/index.ts";

/** One executable text of a statement, planned without and with the advice. */
export interface PlannedBinding {
  /** Its share of the statement's calls. */
  readonly share: number;
  readonly before: Plan;
  readonly after: Plan;
}

export interface PlanChanges {
  /** By statement id. */
  readonly changes: ReadonlyMap<string, readonly PlannedBinding[]>;
  readonly risks: readonly IndexRisk[];
  /** EXPLAINs that this took. */
  readonly calls: number;
  /** Statements that use an index of the advice and were not looked at, because there are too many. */
  readonly unchecked: number;
}

/** So many statements are looked at, those that gain most first: each takes a few EXPLAINs. */
const mostStatements = 500;

/**
 * The plans of the statements that a configuration serves, before and after, and what in the change is known to go wrong. A risk is laid to the index without
 * which it would not be there.
 */
export const readPlanChanges = async (
  planner: WhatIfPlanner,
  statements: readonly Statement[],
  { create, drop, statements: costs }: Pick<Configuration, "create" | "drop" | "statements">,
): Promise<PlanChanges> => {
  const gains = new Map<string, number>();
  for (const { statementId, saving } of create.flatMap((chosen) => chosen.gains ?? [])) {
    gains.set(statementId, (gains.get(statementId) ?? 0) + saving);
  }
  const used = new Map(costs.map(({ statementId, usedIndexes }) => [statementId, usedIndexes]));
  const served = statements
    .filter(({ id }) => (used.get(id) ?? []).length > 0)
    .toSorted((a, b) => (gains.get(b.id) ?? 0) - (gains.get(a.id) ?? 0));
  const looked = served.slice(0, mostStatements);

  const all = new Set(create.map(({ index }) => index.id));
  const now = { visible: new Set<string>(), hidden: new Set<number>() };
  const advised = { visible: all, hidden: new Set(drop.map(({ index }) => index.oid)) };
  let calls = 0;
  const plan = async (asked: readonly (readonly [Statement, Pick<WhatIfRequest, "visible" | "hidden">])[]) => {
    const requests = asked.flatMap(([{ bindings, scope }, under]) =>
      bindings.map((binding): WhatIfRequest => ({ ...under, binding, scope })),
    );
    calls += requests.length;
    const answers = await planner.plan(requests);
    let next = 0;
    return asked.map(([{ bindings }]) => answers.slice(next, (next += bindings.length)));
  };

  const [before, after] = [
    await plan(looked.map((one) => [one, now] as const)),
    await plan(looked.map((one) => [one, advised] as const)),
  ];
  const changes = looked.map((statement, at) => paired(statement, before[at] ?? [], after[at] ?? []));

  const risky = looked.flatMap((statement, at) => {
    const found = statementRisks(changes[at] ?? []);
    return found.length === 0 ? [] : [{ statement, found, at }];
  });
  const risks: IndexRisk[] = [];
  for (const { statement, found, at } of risky) {
    const suspects = create.filter(({ index }) => (used.get(statement.id) ?? []).includes(index.id));
    const without = suspects.length < 2 ? [] : await plan(suspects.map((one) => [statement, butFor(one, advised)]));
    for (const risk of found) {
      const guilty = suspects.filter((_, position) => {
        const left = statementRisks(paired(statement, before[at] ?? [], without[position] ?? []));
        return !left.some(({ code }) => code === risk.code);
      });
      // Where each could do it alone, all of them did.
      for (const { index } of guilty.length > 0 ? guilty : suspects) {
        risks.push({ ...risk, indexId: index.id, statementId: statement.id });
      }
    }
  }
  return {
    changes: new Map(looked.map(({ id }, at) => [id, changes[at] ?? []])),
    risks,
    calls,
    unchecked: served.length - looked.length,
  };
};

const butFor = (
  { index }: ChosenIndex,
  { visible, hidden }: Pick<WhatIfRequest, "visible" | "hidden">,
): Pick<WhatIfRequest, "visible" | "hidden"> => ({
  visible: new Set([...visible].filter((id) => id !== index.id)),
  hidden,
});

const paired = (
  { bindings }: Statement,
  before: readonly WhatIfResult[],
  after: readonly WhatIfResult[],
): PlannedBinding[] =>
  bindings.flatMap(({ share }, at): PlannedBinding[] => {
    const [one, other] = [before[at], after[at]];
    return one?.kind === "planned" && other?.kind === "planned" ? [{ share, before: one.plan, after: other.plan }] : [];
  });
