import {
  ascending,
  type Candidate,
  type CandidateOrigin,
  type Catalog,
  type Column,
  type DeclinedCandidate,
  definitionId,
  type IndexDefinition,
  type IndexKey,
  type Table,
  type TableAccess,
  tableId,
} from "../domain/index.ts";
import { distinctValues, draftKeys, type KeyDraft } from "./access-rules.ts";
import { indexThatCovers } from "./existing.ts";
import { keepBest } from "./limit.ts";
import { sharedOrders, sharedPayloads } from "./merge.ts";
import { tableProblem } from "./table-problem.ts";
import { widthProblem } from "./width.ts";

export interface CandidateOptions {
  /** Key columns per index. Default 3: a fourth rarely changes a plan and multiplies the candidates. */
  readonly maxColumns?: number;
  /** INCLUDE columns of a covering index. Default 3. 0 switches covering indexes off. */
  readonly maxIncludeColumns?: number;
  /** Mean bytes (by the statistics) of all INCLUDE columns together. Default 64: wider ones approach the table's own size. */
  readonly maxIncludeBytes?: number;
  /** Default 80 per table, 600 in all: what a search can cost in seconds; what is cut off is declined as `candidate_limit`. */
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
 * Declined codes: `exists`, `not_ordered`, `virtual_column`, `unbounded_width`, `tiny_table`, `partitioned_not_supported_yet`,
 * `materialized_view_not_supported_yet`, `candidate_limit`.
 */
export const generateCandidates = (input: CandidateInput): Candidates => {
  const tables = new Map(input.catalog.tables.map((table) => [tableId(table), table]));
  const collection = new Map<string, TableCandidates>();
  const of = (table: Table): TableCandidates => {
    const known = collection.get(tableId(table));
    if (known !== undefined) return known;
    const made = new TableCandidates(table, input);
    collection.set(tableId(table), made);
    return made;
  };
  for (const { statementId, accesses } of input.statements) {
    for (const access of accesses) {
      const table = tables.get(tableId(access.table));
      if (table !== undefined) of(table).addAccess(statementId, access);
    }
  }
  for (const table of input.catalog.tables) {
    for (const key of table.foreignKeys) {
      const touching = input.statements.filter(({ accesses }) =>
        accesses.some(
          (access) => tableId(access.table) === tableId(table) || tableId(access.table) === tableId(key.referenced),
        ),
      );
      for (const { statementId } of touching) of(table).addForeignKey(statementId, key.columns);
    }
  }
  const made = [...collection.values()].map((one) => one.finish());
  const weights = new Map(input.statements.map(({ statementId, weight }) => [statementId, weight ?? 1]));
  const limited = keepBest(
    made.map((one) => one.candidates),
    weights,
    { perTable: input.maxPerTable ?? 80, total: input.maxTotal ?? 600 },
  );
  return {
    candidates: limited.kept,
    declined: [...made.flatMap((one) => one.declined), ...limited.declined],
  };
};

/** Collects what is thought of for one table. */
class TableCandidates {
  readonly #table: Table;
  readonly #columns: ReadonlyMap<string, Column>;
  readonly #problem: { readonly code: string; readonly reason: string } | null;
  readonly #maxColumns: number;
  readonly #maxInclude: number;
  readonly #maxIncludeBytes: number;
  readonly #candidates = new Map<string, { definition: IndexDefinition; origins: CandidateOrigin[] }>();
  readonly #declined = new Map<
    string,
    { definition: IndexDefinition; code: string; reason: string; ids: Set<string> }
  >();
  readonly #drafts: { readonly statementId: string; readonly draft: KeyDraft }[] = [];

  constructor(table: Table, options: CandidateOptions) {
    this.#table = table;
    this.#columns = new Map(table.columns.map((column) => [column.name, column]));
    this.#problem = tableProblem(table);
    this.#maxColumns = options.maxColumns ?? 3;
    this.#maxInclude = options.maxIncludeColumns ?? 3;
    this.#maxIncludeBytes = options.maxIncludeBytes ?? 64;
  }

  addAccess(statementId: string, access: TableAccess): void {
    const named = [
      ...access.equality,
      ...access.join,
      ...access.range,
      ...access.order.map((key) => key.column),
      ...access.group,
    ];
    const usable = new Set<string>();
    for (const name of new Set(named)) if (this.#columnMayBeKey(statementId, name)) usable.add(name);
    const drafts = draftKeys(
      access,
      (column) => usable.has(column),
      (column) => this.#distinct(column),
      this.#maxColumns,
    );
    for (const draft of drafts) {
      this.#drafts.push({ statementId, draft });
      this.#offer(statementId, draft.rule, draft.keys, []);
      if (draft.keys.length <= 2) this.#offerCovering(statementId, draft.keys, access.referenced);
    }
  }

  addForeignKey(statementId: string, columns: readonly string[]): void {
    if (columns.length > this.#maxColumns) return;
    if (columns.every((name) => this.#columnMayBeKey(statementId, name))) {
      this.#offer(statementId, "foreign-key", columns.map(ascending), []);
    }
  }

  finish(): Candidates {
    for (const { statementId, keys } of sharedOrders(this.#drafts, (column) => this.#distinct(column))) {
      this.#offer(statementId, "merged", keys, []);
    }
    for (const { origins, keys, include } of sharedPayloads([...this.#candidates.values()], this.#maxInclude + 1)) {
      for (const { statementId } of origins) this.#offer(statementId, "merged", keys, this.#inAttributeOrder(include));
    }
    return {
      candidates: [...this.#candidates].map(([id, { definition, origins }]) => ({ id, definition, origins })),
      declined: [...this.#declined.values()].map(({ definition, code, reason, ids }) => ({
        definition,
        code,
        reason,
        statementIds: [...ids],
      })),
    };
  }

  #distinct(name: string): number {
    const column = this.#columns.get(name);
    return column === undefined ? 1 : distinctValues(column, this.#table.tuples);
  }

  #columnMayBeKey(statementId: string, name: string): boolean {
    const column = this.#columns.get(name);
    if (column === undefined) return false;
    const alone = this.#definition([ascending(name)], []);
    if (this.#problem !== null) return this.#decline(alone, this.#problem.code, this.#problem.reason, statementId);
    if (column.generated?.kind === "virtual") {
      return this.#decline(alone, "virtual_column", `PostgreSQL cannot index the virtual column ${name}`, statementId);
    }
    if (!column.ordered) {
      const reason = `type ${column.type} of column ${name} has no B-tree order`;
      return this.#decline(alone, "not_ordered", reason, statementId);
    }
    const problem = widthProblem([column]);
    return problem === null || this.#decline(alone, "unbounded_width", problem, statementId);
  }

  #offerCovering(statementId: string, keys: readonly IndexKey[], referenced: readonly string[] | null): void {
    if (referenced === null) return;
    const payload = referenced.filter((column) => !keys.some((key) => key.column === column));
    const columns = payload.map((name) => this.#columns.get(name));
    if (payload.length === 0 || payload.length > this.#maxInclude) return;
    if (columns.some((column) => column === undefined || column.generated?.kind === "virtual")) return;
    const bytes = columns.reduce((sum, column) => sum + (column?.statistics?.averageWidth ?? column?.maxBytes ?? 0), 0);
    if (bytes <= this.#maxIncludeBytes) {
      this.#offer(statementId, "covering", keys, this.#inAttributeOrder(payload));
    }
  }

  #offer(statementId: string, rule: string, keys: readonly IndexKey[], include: readonly string[]): void {
    const definition = this.#definition(keys, include);
    const id = definitionId(definition);
    const known = this.#candidates.get(id);
    if (known !== undefined) {
      if (!known.origins.some((origin) => origin.statementId === statementId && origin.rule === rule)) {
        known.origins.push({ statementId, rule });
      }
      return;
    }
    const names = [...keys.map((key) => key.column), ...include];
    const problem = widthProblem(names.flatMap((name) => this.#columns.get(name) ?? []));
    if (problem !== null) {
      // A payload that does not fit is no loss worth telling: the index without it is a candidate as well.
      if (include.length === 0) this.#decline(definition, "unbounded_width", problem, statementId);
      return;
    }
    const existing = indexThatCovers(this.#table, definition);
    if (existing !== null) {
      this.#decline(definition, "exists", `index ${existing.name} already offers this`, statementId);
      return;
    }
    this.#candidates.set(id, { definition, origins: [{ statementId, rule }] });
  }

  #decline(definition: IndexDefinition, code: string, reason: string, statementId: string): false {
    const id = definitionId(definition);
    const known = this.#declined.get(id);
    if (known === undefined) this.#declined.set(id, { definition, code, reason, ids: new Set([statementId]) });
    else known.ids.add(statementId);
    return false;
  }

  #definition(keys: readonly IndexKey[], include: readonly string[]): IndexDefinition {
    return { table: { schema: this.#table.schema, name: this.#table.name }, method: "btree", keys, include };
  }

  #inAttributeOrder(names: readonly string[]): string[] {
    const position = (name: string): number => this.#columns.get(name)?.attnum ?? 0;
    return [...new Set(names)].toSorted((a, b) => position(a) - position(b));
  }
}
