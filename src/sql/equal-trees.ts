import type { Node } from "@pgsql/types";

/** Conditions that stand before those that a node has under `key`, all of them joined by AND. */
export interface Addition {
  readonly key: string;
  readonly conditions: readonly Node[];
}

const positions = new Set(["location", "rexpr_list_start", "rexpr_list_end", "list_start", "list_end"]);

const conjunctsOf = (node: Node | undefined): readonly Node[] => {
  if (node === undefined) return [];
  if (!("BoolExpr" in node) || node.BoolExpr.boolop !== "AND_EXPR") return [node];
  return (node.BoolExpr.args ?? []).flatMap(conjunctsOf);
};

const equalLists = (
  ones: readonly unknown[],
  twos: readonly unknown[],
  added: ReadonlyMap<object, Addition>,
): boolean => {
  if (ones.length !== twos.length) return false;
  for (let i = 0; i < twos.length; i += 1) if (!equalTrees(ones[i], twos[i], added)) return false;
  return true;
};

/**
 * Whether two trees of the parser are equal: positions aside, conjunctions flat, and with conditions added to some nodes of the second. In loops, without anything made
 * for a node: an application waits for it, once for each new text.
 */
export const equalTrees = (one: unknown, two: unknown, added: ReadonlyMap<object, Addition>): boolean => {
  if (typeof one !== "object" || one === null || typeof two !== "object" || two === null) return one === two;
  if (Array.isArray(one) || Array.isArray(two)) {
    return Array.isArray(one) && Array.isArray(two) && equalLists(one, two, added);
  }
  if ("BoolExpr" in two && "BoolExpr" in one) {
    const conjuncts = conjunctsOf(one as Node);
    if (conjuncts.length > 1) return equalLists(conjuncts, conjunctsOf(two as Node), added);
  }
  const addition = added.get(two);
  const [ones, twos] = [one as Record<string, unknown>, two as Record<string, unknown>];
  let more = 0;
  for (const key of Object.keys(twos)) {
    if (positions.has(key) || key === addition?.key) continue;
    if (!Object.hasOwn(ones, key) || !equalTrees(ones[key], twos[key], added)) return false;
    more += 1;
  }
  for (const key of Object.keys(ones)) if (!positions.has(key) && key !== addition?.key) more -= 1;
  if (more !== 0) return false;
  if (addition === undefined) return true;
  const present = conjunctsOf(twos[addition.key] as Node | undefined);
  return equalLists(conjunctsOf(ones[addition.key] as Node | undefined), [...addition.conditions, ...present], added);
};
