import {
  type Catalog,
  type ChosenIndex,
  describeIndex,
  type IndexDefinition,
  type ProposedDrop,
  type Table,
  type TableName,
  tableId,
} from "../domain/index.ts";
import { type PlanStep, planSteps, type RenameIndex } from "../plan/index.ts";
import { quoteName, renderCreateIndex, renderDropIndex } from "../postgres/index.ts";
import { type Advice, queryName } from "./advice.ts";

/** What one statement gains by one index, beside the others. */
export interface Gain {
  readonly statementId: string;
  readonly query: string;
  /** In the advice's unit. */
  readonly saving: number;
  /** Of all that the index saves. */
  readonly share: number;
}

/** All that the numbers say for and against one index of the advice. */
export interface IndexReport {
  readonly chosen: ChosenIndex;
  /** In the advice's unit, beside the other indexes; and as a share of the workload as it is now. */
  readonly saving: number;
  readonly share: number;
  /** The statements it serves, those that gain most first. */
  readonly gains: readonly Gain[];
  readonly buildMs: number;
  /** What writes pay for it; null where nothing is charged. */
  readonly writes: {
    readonly ms: number;
    readonly walBytes: number;
    readonly msPerDay: number | null;
    readonly walBytesPerDay: number | null;
    readonly entries: number;
    readonly lostHotUpdates: number;
  } | null;
}

export const reportOf = (advice: Advice, chosen: ChosenIndex): IndexReport => {
  const { totals } = advice.configuration;
  const saved = new Map((chosen.gains ?? []).map(({ statementId, saving }) => [statementId, Math.max(0, saving)]));
  const saving = [...saved.values()].reduce((sum, one) => sum + one, 0);
  const gains = chosen.statementIds
    .map((statementId): Gain => {
      const own = saved.get(statementId) ?? 0;
      const share = saving === 0 ? 0 : own / saving;
      return { statementId, query: queryName(advice, statementId), saving: own, share };
    })
    .toSorted((a, b) => b.saving - a.saving);
  const { upkeep } = advice;
  let writes: IndexReport["writes"] = null;
  if (upkeep.kind === "charged") {
    writes = upkeep.of(chosen.index);
  }
  return {
    chosen,
    saving,
    share: totals.costBefore === 0 ? 0 : saving / totals.costBefore,
    gains,
    buildMs: upkeep.buildMs(chosen.index),
    writes,
  };
};

/**
 * The statements with which a person builds an index outside a transaction: on a partitioned table one for each partition, and in the end one that attaches
 * what they made, with a lock that stops writes for an instant.
 */
export const buildStatementsOf = (
  { catalog }: Pick<Advice, "catalog">,
  definition: IndexDefinition,
): readonly string[] => {
  const id = tableId(definition.table);
  const table = catalog.tables.find((one) => tableId(one) === id);
  if (table?.kind !== "partitioned") return [renderCreateIndex(definition, null, { concurrently: true })];
  return [
    ...leavesOf(catalog, id).map((leaf) =>
      renderCreateIndex({ ...definition, table: { schema: leaf.schema, name: leaf.name } }, null, {
        concurrently: true,
      }),
    ),
    renderCreateIndex(definition, null, { concurrently: false }),
  ];
};

const leavesOf = (catalog: Catalog, id: string): readonly Table[] =>
  catalog.tables
    .filter(
      ({ parents, partitionBound }) => partitionBound !== null && parents.some((parent) => tableId(parent) === id),
    )
    .flatMap((part) => (part.kind === "partitioned" ? leavesOf(catalog, tableId(part)) : [part]));

/** How to drop an index that we do not drop, and what stands in the way. */
export interface DropReport {
  readonly drop: ProposedDrop;
  /** Quoted. */
  readonly name: string;
  /** Whose table it is. */
  readonly owner: string | null;
  /** Null where it cannot be dropped without a lock that stops reads and writes. */
  readonly sql: string | null;
  /** For people. */
  readonly remark: string;
}

export const dropReportOf = ({ catalog }: Pick<Advice, "catalog">, drop: ProposedDrop): DropReport => {
  const name: TableName = drop.index;
  const table = catalog.tables.find((one) => tableId(one) === tableId(drop.table));
  const ours = drop.index.comment?.startsWith("indexpilot:") === true;
  const partitioned = table?.kind === "partitioned";
  const when = drop.code === "replaced" ? "once the new index has proved itself" : "at any time";
  const remark = partitioned
    ? "an index of a partitioned table can only be dropped with a lock that stops all access to it: in a window of yours"
    : ours
      ? `\`indexpilot rollback ${quoteName(name)} --yes\` drops it, ${when}`
      : `\`indexpilot drop ${quoteName(name)} --yes\` asks about every statement again and drops it, ${when}`;
  return {
    drop,
    name: quoteName(name),
    owner: table?.owner ?? null,
    sql: partitioned ? null : renderDropIndex(name),
    remark,
  };
};

/** The plans of one text of a statement, before and after, step by step; texts that are planned alike are one. */
export interface PlanPair {
  /** Of the statement's calls. */
  readonly share: number;
  readonly before: readonly PlanStep[];
  readonly after: readonly PlanStep[];
}

/** How the advice changes a statement's plans; empty where none of its indexes is used. */
export const planPairsOf = (advice: Advice, statementId: string): readonly PlanPair[] => {
  const rename = renamingOf(advice);
  const pairs = new Map<string, PlanPair>();
  for (const { share, before, after } of advice.plans.changes.get(statementId) ?? []) {
    const pair = { before: planSteps(before, rename), after: planSteps(after, rename) };
    const alike = JSON.stringify(pair);
    pairs.set(alike, { ...pair, share: share + (pairs.get(alike)?.share ?? 0) });
  }
  return [...pairs.values()];
};

/** The planner has names of its own for indexes that are not there; people read their definitions. */
const renamingOf = ({ configuration }: Advice): RenameIndex => {
  const names = new Map(
    configuration.create.map(({ index }) => [index.planName, `new [${describeIndex(index.definition)}]`]),
  );
  return (name) => names.get(name) ?? name;
};
