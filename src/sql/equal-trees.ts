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

/** Whether two trees of the parser are equal: positions aside, conjunctions flat, and with conditions added to some nodes of the second. */
export const equalTrees = (one: unknown, two: unknown, added: ReadonlyMap<object, Addition>): boolean => {
  if (typeof one !== "object" || one === null || typeof two !== "object" || two === null) return one === two;
  const all = (ones: readonly unknown[], twos: readonly unknown[]): boolean =>
    ones.length === twos.length && ones.every((inner, i) => equalTrees(inner, twos[i], added));
  if (Array.isArray(one) || Array.isArray(two)) return Array.isArray(one) && Array.isArray(two) && all(one, two);
  if ("BoolExpr" in one && "BoolExpr" in two) {
    const conjuncts = [conjunctsOf(one as Node), conjunctsOf(two as Node)] as const;
    if (conjuncts[0].length > 1) return all(...conjuncts);
  }
  const addition = added.get(two);
  const compared = (key: string): boolean => !positions.has(key) && key !== addition?.key;
  const [ones, twos] = [one as Record<string, unknown>, two as Record<string, unknown>];
  const keys = Object.keys(two).filter(compared);
  if (keys.length !== Object.keys(one).filter(compared).length) return false;
  if (!keys.every((key) => Object.hasOwn(one, key) && equalTrees(ones[key], twos[key], added))) return false;
  if (addition === undefined) return true;
  const present = (node: Record<string, unknown>): readonly Node[] =>
    conjunctsOf(node[addition.key] as Node | undefined);
  return all(present(ones), [...addition.conditions, ...present(twos)]);
};
