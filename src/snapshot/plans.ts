import { createHash } from "node:crypto";
import type { ObservationScope } from "../domain/index.ts";
import { decodePlan, type Plan, type PlanNode } from "../plan/index.ts";

/** A text that the target was asked to EXPLAIN, and as whom. */
export interface PlanQuestion {
  readonly scope: ObservationScope;
  readonly sql: string;
}

/** What the target answered: a plan, or why there is none. */
export type PlanAnswer =
  | { readonly kind: "read"; readonly value: Plan }
  | { readonly kind: "refused"; readonly reason: string };

/** Names a question without repeating its text, which may hold values. */
export const planKey = ({ scope, sql }: PlanQuestion): string =>
  createHash("sha256")
    .update(JSON.stringify([scope.role, scope.searchPath, sql]))
    .digest("hex")
    .slice(0, 32);

const rawNode = (node: PlanNode): Record<string, unknown> => ({
  "Node Type": node.type,
  ...(node.joinType === null ? {} : { "Join Type": node.joinType }),
  ...(node.schema === null ? {} : { Schema: node.schema }),
  ...(node.relation === null ? {} : { "Relation Name": node.relation }),
  ...(node.alias === null ? {} : { Alias: node.alias }),
  ...(node.index === null ? {} : { "Index Name": node.index }),
  "Startup Cost": node.startupCost,
  "Total Cost": node.totalCost,
  "Plan Rows": node.rows,
  "Plan Width": node.width,
  ...(node.children.length === 0 ? {} : { Plans: node.children.map(rawNode) }),
});

/** The plan without its conditions, which hold values of the statement: node types, names, costs and rows only. */
export const prunePlan = (plan: Plan): Plan => decodePlan(rawPlan(plan));

/** As EXPLAIN (FORMAT JSON) writes it, pruned as {@link prunePlan} does. */
export const rawPlan = (plan: Plan): unknown => [{ Plan: rawNode(plan.root) }];
