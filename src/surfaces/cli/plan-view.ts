import { type Plan, type PlanNode, type PlanStep, planSteps, type RenameIndex, stepText } from "../../plan/index.ts";
import { table, type Terminal } from "./terminal.ts";

/** Costs that differ by no more are the same, as in calibration. */
const tolerance = 0.01;

const key = ({ depth, step }: PlanStep): string => `${String(depth)} ${step}`;

/** Pairs the steps that both have, in order: the longest common subsequence. */
const aligned = (
  left: readonly PlanStep[],
  right: readonly PlanStep[],
): (readonly [PlanStep | null, PlanStep | null])[] => {
  const [a, b] = [left[0], right[0]];
  if (a === undefined) return right.map((line) => [null, line] as const);
  if (b === undefined) return left.map((line) => [line, null] as const);
  const length = left.map(() => right.map(() => 0));
  const at = (i: number, j: number): number => length[i]?.[j] ?? 0;
  for (let i = left.length - 1; i >= 0; i -= 1) {
    for (let j = right.length - 1; j >= 0; j -= 1) {
      const [one, other] = [left[i], right[j]];
      const row = length[i];
      if (one === undefined || other === undefined || row === undefined) continue;
      row[j] = key(one) === key(other) ? 1 + at(i + 1, j + 1) : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const pairs: (readonly [PlanStep | null, PlanStep | null])[] = [];
  let [i, j] = [0, 0];
  while (i < left.length || j < right.length) {
    const [one, other] = [left[i] ?? null, right[j] ?? null];
    if (one !== null && other !== null && key(one) === key(other)) {
      pairs.push([one, other]);
      i += 1;
      j += 1;
    } else if (other === null || (one !== null && at(i + 1, j) >= at(i, j + 1))) {
      pairs.push([one, null]);
      i += 1;
    } else {
      pairs.push([null, other]);
      j += 1;
    }
  }
  return pairs;
};

const sameCost = (a: number, b: number): boolean => Math.abs(a - b) <= tolerance * Math.max(a, b);

/** One plan, a step a line. */
export const planText = (plan: Plan, rename: RenameIndex): string =>
  planSteps(plan, rename)
    .map((line) => `    ${stepText(line)}`)
    .join("\n");

/** Two plans beside one another: `≠` before a step that only one has, `~` before one that costs something else. */
export const plansBeside = (
  titles: readonly [string, string],
  plans: readonly [Plan, Plan],
  terminal: Terminal,
): string => {
  const same: RenameIndex = (index) => index;
  const rows = aligned(planSteps(plans[0], same), planSteps(plans[1], same)).map(([left, right]) => {
    const mark = left === null || right === null ? "≠" : sameCost(left.cost, right.cost) ? " " : "~";
    return [mark, left === null ? "" : stepText(left), right === null ? "" : stepText(right)];
  });
  return table([{ title: "" }, { title: titles[0] }, { title: titles[1] }], rows, terminal);
};

/** A plan as data, without its conditions, which hold values of the statement. */
export const planDocument = (plan: Plan, rename: RenameIndex): object => {
  const node = (one: PlanNode): object => ({
    type: one.type,
    joinType: one.joinType,
    relation: one.relation,
    alias: one.alias,
    index: one.index === null ? null : rename(one.index),
    startupCost: one.startupCost,
    totalCost: one.totalCost,
    rows: one.rows,
    width: one.width,
    children: one.children.map(node),
  });
  return node(plan.root);
};
