/** One node of a plan, with the fields that IndexPilot reads; all others stay in `raw`. */
export interface PlanNode {
  readonly type: string;
  readonly relation: string | null;
  readonly schema: string | null;
  readonly alias: string | null;
  readonly index: string | null;
  readonly startupCost: number;
  readonly totalCost: number;
  readonly rows: number;
  readonly width: number;
  readonly joinType: string | null;
  readonly raw: Readonly<Record<string, unknown>>;
  readonly children: readonly PlanNode[];
}

export interface Plan {
  readonly root: PlanNode;
}

const text = (value: unknown): string | null => (typeof value === "string" ? value : null);
const number = (value: unknown): number => (typeof value === "number" ? value : 0);

const decodeNode = (raw: Record<string, unknown>): PlanNode => ({
  type: text(raw["Node Type"]) ?? "Unknown",
  relation: text(raw["Relation Name"]),
  schema: text(raw["Schema"]),
  alias: text(raw["Alias"]),
  index: text(raw["Index Name"]),
  startupCost: number(raw["Startup Cost"]),
  totalCost: number(raw["Total Cost"]),
  rows: number(raw["Plan Rows"]),
  width: number(raw["Plan Width"]),
  joinType: text(raw["Join Type"]),
  raw,
  children: Array.isArray(raw["Plans"])
    ? raw["Plans"].map((child) => decodeNode(child as Record<string, unknown>))
    : [],
});

/**
 * Decodes the value of `EXPLAIN (FORMAT JSON)`: an array with one object, already parsed or still text.
 * @throws Error when it is not of that form; a broken invariant, as only PostgreSQL writes it.
 */
export const decodePlan = (value: unknown): Plan => {
  const parsed: unknown = typeof value === "string" ? JSON.parse(value) : value;
  const first: unknown = Array.isArray(parsed) ? parsed[0] : undefined;
  const root = (first as { Plan?: unknown } | undefined)?.Plan;
  if (typeof root !== "object" || root === null) throw new Error("not the output of EXPLAIN (FORMAT JSON)");
  return { root: decodeNode(root as Record<string, unknown>) };
};

/** Every node, parents before children. */
export function* walkPlan(plan: Plan): Generator<PlanNode> {
  const stack: PlanNode[] = [plan.root];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    yield node;
    stack.push(...node.children.toReversed());
  }
}

/** Names of the indexes a plan uses, each once, in plan order. */
export const usedIndexNames = (plan: Plan): string[] => {
  const names = new Set<string>();
  for (const node of walkPlan(plan)) if (node.index !== null) names.add(node.index);
  return [...names];
};

/**
 * The plan's shape as text: node types, relations, aliases, indexes and join types, without costs, rows or conditions.
 * `rename` maps an index's name first, for comparing plans in which the same index is called differently.
 */
export const planShape = (plan: Plan, rename: (index: string) => string = (index) => index): string => {
  const line = (node: PlanNode): string => {
    const parts = [
      node.type,
      node.joinType,
      node.relation,
      node.alias,
      node.index === null ? null : rename(node.index),
    ];
    const children = node.children.map(line);
    return `${parts.filter((part) => part !== null).join(":")}${children.length > 0 ? `(${children.join(",")})` : ""}`;
  };
  return line(plan.root);
};
