import type { Plan, PlanNode } from "./plan.ts";

/** One step of a plan as a person reads it. */
export interface PlanStep {
  readonly depth: number;
  /** What must be equal for two lines to be the same step. */
  readonly step: string;
  readonly cost: number;
  readonly rows: number;
}

/** What the plan's index names are called for people. */
export type RenameIndex = (index: string) => string;

/** The steps of a plan, parents before children. Without conditions, which hold values of the statement. */
export const planSteps = (plan: Plan, rename: RenameIndex): PlanStep[] => stepsOf(plan.root, rename, 0);

const stepsOf = (node: PlanNode, rename: RenameIndex, depth: number): PlanStep[] => {
  const on = node.relation === null ? "" : ` on ${node.relation}`;
  const alias = node.alias === null || node.alias === node.relation ? "" : ` ${node.alias}`;
  const index = node.index === null ? "" : ` using ${rename(node.index)}`;
  const join = node.joinType === null ? "" : ` (${node.joinType})`;
  return [
    { depth, step: `${node.type}${join}${index}${on}${alias}`, cost: node.totalCost, rows: node.rows },
    ...node.children.flatMap((child) => stepsOf(child, rename, depth + 1)),
  ];
};

const number = (value: number): string => value.toLocaleString("en", { maximumFractionDigits: value < 1000 ? 2 : 0 });

/** `  Index Scan using x on t  cost 8.44, rows 1`, indented by its depth. */
export const stepText = ({ depth, step, cost, rows }: PlanStep): string =>
  `${"  ".repeat(depth)}${step}  cost ${number(cost)}, rows ${number(rows)}`;
