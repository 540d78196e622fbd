import { type Advice, queryName } from "../../pilot/index.ts";

/** What takes no part in the advice for one and the same reason. */
interface LeftOut {
  /** One of them, and how many more. */
  readonly named: string;
  readonly reason: string;
}

interface Group {
  readonly example: string;
  readonly reason: string;
  /** Entries beside the example. */
  more: number;
  /** What all entries stand for. */
  size: number;
}

/** So many reasons are named, the most frequent ones. */
const shown = 6;

/** By reason, and at the end how many of further reasons there are. */
const byReason = (
  entries: Iterable<{ readonly name: string; readonly reason: string; readonly size?: number }>,
): readonly LeftOut[] => {
  const groups = new Map<string, Group>();
  for (const { name, reason, size = 1 } of entries) {
    const group = groups.get(reason);
    if (group === undefined) groups.set(reason, { example: name, reason, more: 0, size });
    else {
      group.more += 1;
      group.size += size;
    }
  }
  const sorted = [...groups.values()].toSorted((a, b) => b.size - a.size);
  const others = sorted.slice(shown).reduce((sum, { size }) => sum + size, 0);
  return [
    ...sorted.slice(0, shown).map(({ example, reason, more }) => ({
      named: more === 0 ? example : `${example} and ${String(more)} more`,
      reason,
    })),
    ...(others === 0 ? [] : [{ named: `${String(others)} more`, reason: "for other reasons, each in --json" }]),
  ];
};

/** The statements of the workload that were not looked at. */
export const statementsLeftOut = ({ workload }: Advice): readonly LeftOut[] =>
  byReason(workload.declined.map(({ label, reason, statements }) => ({ name: label, reason, size: statements ?? 1 })));

/** The objects that the shadow does without. */
export const objectsLeftOut = ({ leftOut }: Advice): readonly LeftOut[] =>
  byReason(leftOut.map(({ object, reason }) => ({ name: object, reason })));

/** The statements that no planner could cost. */
export const notCosted = (advice: Advice): readonly LeftOut[] =>
  byReason([...advice.failed].map(([id, reason]) => ({ name: queryName(advice, id), reason })));

/** Whether the advice rests on no statement at all. */
export const isNothingCosted = ({ accesses, failed }: Advice): boolean =>
  [...accesses].every(([id, uses]) => uses.length === 0 || failed.has(id));
