import {
  type Candidate,
  type Catalog,
  type DeclinedCandidate,
  type Table,
  type TableAccess,
  tableId,
} from "../domain/index.ts";
import { keepBest } from "./limit.ts";
import { varyingColumns } from "./predicate.ts";
import { redundantIndexes, unusedIndexes } from "./redundant.ts";
import { TableCandidates } from "./table-candidates.ts";
import { tenantColumns } from "./tenant.ts";

export interface CandidateOptions {
  /** Key columns per index. Default 3: a fourth rarely changes a plan and multiplies the candidates. */
  readonly maxColumns?: number;
  /** INCLUDE columns of a covering index. Default 3. 0 switches covering indexes off. */
  readonly maxIncludeColumns?: number;
  /** Mean bytes (by the statistics) of all INCLUDE columns together. Default 64: wider ones approach the table's own size. */
  readonly maxIncludeBytes?: number;
  /** `btree`: plain B-trees only, without INCLUDE, predicate, expression or operator class. Default `all`. */
  readonly kinds?: "btree" | "all";
  /** Default 200 per table, 1,200 in all: what a search can cost in seconds; what is cut off is declined as `candidate_limit`. */
  readonly maxPerTable?: number;
  readonly maxTotal?: number;
}

export interface CandidateInput extends CandidateOptions {
  readonly statements: readonly {
    readonly statementId: string;
    readonly accesses: readonly TableAccess[];
    /** Importance, for the order in which the limits cut; 1 when absent. */
    readonly weight?: number;
  }[];
  readonly catalog: Catalog;
}

export interface Candidates {
  readonly candidates: readonly Candidate[];
  readonly declined: readonly DeclinedCandidate[];
}

/**
 * Candidates for a workload, in a stable order.
 * Declined codes: `exists`, `not_ordered`, `virtual_column`, `unbounded_width`, `may_raise`, `not_immutable`, `constant_unknown`, `unknown_expression`, `extension_missing`,
 * `tiny_table`, `partition`, `materialized_view_not_supported_yet`, `candidate_limit`.
 */
export const generateCandidates = (input: CandidateInput): Candidates => {
  const tables = new Map(input.catalog.tables.map((table) => [tableId(table), table]));
  const collection = new Map<string, TableCandidates>();
  const settings = {
    maxColumns: input.maxColumns ?? 3,
    maxIncludeColumns: input.maxIncludeColumns ?? 3,
    maxIncludeBytes: input.maxIncludeBytes ?? 64,
    plainOnly: input.kinds === "btree",
    tenantColumns: tenantColumns(input),
    parameters: varyingColumns(input.statements.flatMap((statement) => statement.accesses)),
  };
  const of = (table: Table): TableCandidates => {
    const known = collection.get(tableId(table));
    if (known !== undefined) return known;
    const made = new TableCandidates(table, input.catalog, settings);
    collection.set(tableId(table), made);
    return made;
  };
  for (const { statementId, accesses } of input.statements) {
    for (const access of accesses) {
      const table = tables.get(tableId(access.table));
      if (table !== undefined) of(table).addAccess(statementId, access);
    }
  }
  const touching = new Map<string, Set<string>>();
  for (const { statementId, accesses } of input.statements) {
    for (const { table } of accesses) {
      const id = tableId(table);
      const ids = touching.get(id) ?? new Set<string>();
      touching.set(id, ids.add(statementId));
    }
  }
  for (const table of input.catalog.tables) {
    for (const key of table.foreignKeys) {
      const ids = new Set([tableId(table), tableId(key.referenced)].flatMap((id) => [...(touching.get(id) ?? [])]));
      for (const statementId of ids) of(table).addForeignKey(statementId, key.columns);
    }
  }
  const redundant = new Set(redundantIndexes(input.catalog).map((drop) => drop.index.oid));
  const unused = input.catalog.tables.flatMap((table) =>
    touching.has(tableId(table)) ? unusedIndexes(table, redundant) : [],
  );
  const made = [...collection.values()].map((one) => one.finish());
  const weights = new Map(input.statements.map(({ statementId, weight }) => [statementId, weight ?? 1]));
  const limited = keepBest(
    made.map((one) => one.candidates),
    weights,
    { perTable: input.maxPerTable ?? 200, total: input.maxTotal ?? 1_200 },
  );
  return {
    candidates: limited.kept,
    declined: [...made.flatMap((one) => one.declined), ...limited.declined, ...unused],
  };
};
