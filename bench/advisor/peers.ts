import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Cell } from "./cell.ts";

interface Entry {
  readonly advisor: string;
  readonly budget_mb: number | null;
  readonly max_width: number;
  readonly relative_cost: number;
}

/** What others made of the same workload; nothing where there is no `peers.json`. */
export interface Peers {
  readonly entries: readonly Entry[];
  /** Numbers of the queries that they were given; all of them when null. */
  readonly queries: readonly number[] | null;
}

export const readPeers = (folder: string): Peers => {
  const file = join(folder, "peers.json");
  if (!existsSync(file)) return { entries: [], queries: null };
  const { entries = [], queries = null } = JSON.parse(readFileSync(file, "utf8")) as Partial<Peers>;
  return { entries, queries };
};

/** Whether the file, `q07.sql`, is one of the queries that were asked. */
export const wasAsked = ({ queries }: Peers, file: string): boolean => {
  const number = /\d+/.exec(basename(file))?.[0];
  return queries === null || number === undefined || queries.includes(Number(number));
};

/** Targets found by other means than an adviser's. */
const isTarget = ({ advisor }: Entry): boolean => /^(best|cophy)/.test(advisor);

/** How the cell compares with the best that is known, and with the best adviser of the same width and budget. */
export const comparison = ({ entries }: Peers, { maxColumns, budgetMb, relativeCost }: Cell): string => {
  const same = entries.filter((peer) => peer.max_width === maxColumns && peer.budget_mb === budgetMb);
  const best = same.find(({ advisor }) => advisor === "best");
  const [rival] = same.filter((peer) => !isTarget(peer)).toSorted((a, b) => a.relative_cost - b.relative_cost);
  return [best, rival]
    .flatMap((peer) => (peer === undefined ? [] : [peer]))
    .map(({ advisor, relative_cost: cost }) => `  ${advisor} ${cost.toFixed(4)} (×${(relativeCost / cost).toFixed(4)})`)
    .join("");
};
