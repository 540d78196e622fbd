/** Sets of one statement's relevant indexes as bits, by their position among them. */
export type IndexSet = bigint;

interface KnownPlan {
  readonly visible: IndexSet;
  readonly used: IndexSet;
  readonly cost: number;
}

const within = (inner: IndexSet, outer: IndexSet): boolean => (inner & ~outer) === 0n;

/**
 * What is already known of one text's cost, and what follows from it because the planner takes the cheapest plan it finds: a plan that was best with
 * more indexes visible is still best when only indexes it does not use are taken away. PostgreSQL treats costs within 1 % as equal, so it holds to that
 * precision; what is finally reported is planned, not derived.
 */
export class KnownPlans {
  readonly #plans: KnownPlan[] = [];
  readonly #refused = new Map<IndexSet, string>();

  add(visible: IndexSet, used: IndexSet, cost: number): void {
    this.#plans.push({ visible, used, cost });
  }

  refuse(visible: IndexSet, reason: string): void {
    this.#refused.set(visible, reason);
  }

  exact(visible: IndexSet): { readonly used: IndexSet; readonly cost: number } | null {
    return this.#plans.find((plan) => within(plan.used, visible) && within(visible, plan.visible)) ?? null;
  }

  /** A plan made under exactly this set, nothing derived. */
  planned(visible: IndexSet): { readonly used: IndexSet; readonly cost: number } | null {
    return this.#plans.find((plan) => plan.visible === visible) ?? null;
  }

  refusal(visible: IndexSet): string | null {
    return this.#refused.get(visible) ?? null;
  }
}
