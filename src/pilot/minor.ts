import { tableId } from "../domain/index.ts";
import { quoteName } from "../postgres/index.ts";
import type { Advice } from "./advice.ts";

/** The statements that were counted and not planned. */
export interface MinorPart {
  readonly statements: number;
  /** Of the workload's time. */
  readonly share: number;
  /** Tables that nothing else uses, quoted: not looked at, and not advised about. */
  readonly tables: readonly string[];
}

/** What the analysis left aside, or null where it looked at everything. */
export const minorPartOf = ({ workload, accesses }: Pick<Advice, "workload" | "accesses">): MinorPart | null => {
  const { statements, minor = [] } = workload;
  if (minor.length === 0) return null;
  const timeOf = (some: readonly { readonly totalMs: number | null }[]): number =>
    some.reduce((sum, { totalMs }) => sum + (totalMs ?? 0), 0);
  const planned = new Set([...accesses.values()].flatMap((some) => some.map((access) => tableId(access.table))));
  const others = minor.flatMap(({ uses }) => uses.map((use) => use.table)).filter((one) => !planned.has(tableId(one)));
  return {
    statements: minor.length,
    share: timeOf(minor) / (timeOf(statements) + timeOf(minor)),
    tables: [...new Set(others.map(quoteName))].toSorted(),
  };
};
