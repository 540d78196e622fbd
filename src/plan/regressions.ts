import { type Plan, type PlanNode, walkPlan } from "./plan.ts";

/** A change of plan that is known to go wrong when an estimate is wrong. */
export interface PlanRisk {
  /**
   * - `nested_loop_underestimated`: joins that hashed or merged now loop over an outer side of which few rows are expected, and would be dearer at an ordinary error
   * - `early_stop_lost`: below a LIMIT the rows came in order or at once, and must now be collected and sorted
   * - `early_stop_gambled`: below a LIMIT an index in sort order is now filtered until enough rows have passed, instead of a search by the filter
   * - `skewed_parameter`: bindings of one statement disagree: the index helps some values and is ignored for most calls
   */
  readonly code: "nested_loop_underestimated" | "early_stop_lost" | "early_stop_gambled" | "skewed_parameter";
  /** One sentence for people, with the numbers. */
  readonly reason: string;
}

/** So few rows outside of a loop are guessed from conditions taken as independent, and the loop's time grows with the error. */
const fewOuterRows = 10;
/** Where conditions depend on one another, estimates are low by this factor often enough (Leis et al., PVLDB 9(3), 2015, figure 3). */
const ordinaryError = 100;
/** A hash or merge join over fewer rows than this costs nothing either way. */
const rowsThatMatter = 1_000;
/** Reading an index in order and discarding: so many rows per row that passes make the end depend on where the matches lie. */
const discardedPerRow = 20;

/** What in the change from one plan of a text to the other is known to go wrong. */
export const planRisks = (before: Plan, after: Plan): readonly PlanRisk[] =>
  [nestedLoop(before, after), lostStop(before, after), gambledStop(before, after)].filter((risk) => risk !== null);

const joins = (plan: Plan, ...types: readonly string[]): PlanNode[] =>
  [...walkPlan(plan)].filter((node) => types.includes(node.type));

const relationsUnder = (node: PlanNode): string =>
  [...walkPlan({ root: node })]
    .flatMap((inner) => inner.alias ?? inner.relation ?? [])
    .toSorted()
    .join(",");

const nestedLoop = (before: Plan, after: Plan): PlanRisk | null => {
  const robust = new Map(joins(before, "Hash Join", "Merge Join").map((node) => [relationsUnder(node), node]));
  for (const loop of joins(after, "Nested Loop")) {
    const [outer, inner] = loop.children;
    const old = robust.get(relationsUnder(loop));
    if (
      outer === undefined ||
      inner === undefined ||
      old === undefined ||
      isBounded(outer) ||
      outer.rows > fewOuterRows
    )
      continue;
    const rows = Math.max(...[...walkPlan({ root: old })].map((node) => node.rows));
    // Of a search by key one row is no estimate; of filters and joins it may be a hundred.
    if (rows < rowsThatMatter || !isEstimated(outer)) continue;
    const cost = outer.totalCost + ordinaryError * outer.rows * inner.totalCost;
    if (cost <= old.totalCost) continue;
    return {
      code: "nested_loop_underestimated",
      reason: `the join of ${relationsUnder(loop)} becomes a nested loop over an outer side estimated at ${String(Math.round(outer.rows))} rows; at ${String(ordinaryError)} times as many it would cost ${cost.toFixed(0)} instead of ${old.totalCost.toFixed(0)}`,
    };
  }
  return null;
};

const isBounded = (node: PlanNode): boolean => node.type === "Result" || node.type === "Limit";

// Several conditions on one table, or a join below: their selectivities were multiplied as if they were independent.
const isEstimated = (node: PlanNode): boolean =>
  [...walkPlan({ root: node })].some((inner) => {
    const filter = inner.raw["Filter"];
    const condition = inner.raw["Index Cond"];
    const text = [filter, condition].filter((one): one is string => typeof one === "string").join(" AND ");
    return inner.joinType !== null || text.split(" AND ").length > 1;
  });

const limits = (plan: Plan): PlanNode[] => joins(plan, "Limit");

const sortUnder = (limit: PlanNode): PlanNode | null => {
  for (let node = limit.children[0]; node !== undefined; node = node.children[0]) {
    if (node.type === "Sort" || node.type === "Incremental Sort") return node;
    if (node.children.length !== 1) return null;
  }
  return null;
};

const lostStop = (before: Plan, after: Plan): PlanRisk | null => {
  const [old] = limits(before);
  const [now] = limits(after);
  if (old === undefined || now === undefined || sortUnder(old) !== null) return null;
  const sort = sortUnder(now);
  if (sort === null || sort.type !== "Sort" || sort.rows < rowsThatMatter) return null;
  return {
    code: "early_stop_lost",
    reason: `the first ${String(Math.round(now.rows))} rows came without sorting; now ${String(Math.round(sort.rows))} must be sorted first`,
  };
};

const gambledStop = (before: Plan, after: Plan): PlanRisk | null => {
  const [old] = limits(before);
  const [now] = limits(after);
  if (old === undefined || now === undefined || sortUnder(old) === null || sortUnder(now) !== null) return null;
  let scan: PlanNode | undefined = now.children[0];
  while (scan?.children.length === 1) scan = scan.children[0];
  if (scan === undefined || !/^Index (Only )?Scan$/.test(scan.type)) return null;
  if (typeof scan.raw["Filter"] !== "string" || scan.raw["Index Cond"] !== undefined) return null;
  // The whole scan's cost against the share that the LIMIT expects to pay.
  const paid = now.totalCost / Math.max(scan.totalCost, 1e-9);
  if (paid > 1 / discardedPerRow) return null;
  return {
    code: "early_stop_gambled",
    reason: `an index in sort order is filtered until ${String(Math.round(now.rows))} rows have passed: expected after ${(paid * 100).toFixed(1)} % of it, but where the matching rows lie is not known`,
  };
};

/**
 * What in the change of one statement's plans is known to go wrong, over all its texts; each code once.
 */
export const statementRisks = (
  bindings: readonly { readonly share: number; readonly before: Plan; readonly after: Plan }[],
): readonly PlanRisk[] => {
  const risks = new Map<PlanRisk["code"], PlanRisk>();
  for (const { before, after } of bindings) {
    for (const risk of planRisks(before, after)) if (!risks.has(risk.code)) risks.set(risk.code, risk);
  }
  const skew = skewRisk(
    bindings.map(({ share, before, after }) => ({
      share,
      costBefore: before.root.totalCost,
      costAfter: after.root.totalCost,
    })),
  );
  return [...risks.values(), ...(skew === null ? [] : [skew])];
};

/** One text of a statement, with the plans' costs and the share of the calls it stands for. */
export interface BindingChange {
  readonly share: number;
  readonly costBefore: number;
  readonly costAfter: number;
}

/** What a gain must be to count, and the share of the calls that must see it. */
const gain = 0.2;
const leastShare = 0.5;

/** Whether an index helps only values that few of the calls ask for; null where it helps most, or none. */
export const skewRisk = (bindings: readonly BindingChange[]): PlanRisk | null => {
  const helped = bindings.filter(({ costBefore, costAfter }) => costAfter < costBefore * (1 - gain));
  const share = helped.reduce((sum, binding) => sum + binding.share, 0);
  if (helped.length === 0 || share >= leastShare) return null;
  return {
    code: "skewed_parameter",
    reason: `it helps values that ${(share * 100).toFixed(0)} % of the calls ask for; for the others the plan does not change`,
  };
};
