import {
  ascending,
  type CandidateOrigin,
  type Candidate,
  type Catalog,
  type Column,
  type DeclinedCandidate,
  definitionId,
  type IndexDefinition,
  type IndexKey,
  type IndexMethod,
  type Table,
  type TableAccess,
} from "../domain/index.ts";
import { distinctValues, draftKeys, draftPairs, type KeyDraft, tenantFirst } from "./access-rules.ts";
import { indexThatCovers, fixedIndexWithSameKeys } from "./existing.ts";
import { type NamedAccess, nameKeys } from "./key-names.ts";
import { sharedOrders, sharedPayloads } from "./merge.ts";
import { blockRangeDraft, methodContext, type MethodContext, methodDrafts } from "./other-methods.ts";
import { conjunction, isSparse, notNull, parameterName, type Predicate, predicatesOf } from "./predicate.ts";
import { tableExtent, tableProblem, whyNotBuildable } from "./table-problem.ts";
import { widthProblem } from "./width.ts";

/** The settings of `CandidateOptions`, each with a value. */
export interface TableSettings {
  readonly maxColumns: number;
  readonly maxIncludeColumns: number;
  readonly maxIncludeBytes: number;
  readonly plainOnly: boolean;
  /** Columns that say whose row it is. */
  readonly tenantColumns: ReadonlySet<string>;
  /** Columns whose constants differ from statement to statement, so that they are parameters: `parameterName`. */
  readonly parameters: ReadonlySet<string>;
}

type Part = Pick<Offer, "where" | "share">;

interface Offer {
  readonly method?: IndexMethod;
  readonly include?: readonly string[];
  readonly where?: string | undefined;
  /** Of the rows, those that the predicate lets in; 1 without one. */
  readonly share?: number;
}

/** Where a predicate lets so many rows in, an index of all rows serves as well. */
const wholeServesFrom = 0.5;

/** Collects what is thought of for one table. */
export class TableCandidates {
  readonly #table: Table;
  readonly #catalog: Catalog;
  readonly #settings: TableSettings;
  readonly #context: MethodContext;
  readonly #columns: ReadonlyMap<string, Column>;
  /** Stand-ins for the expressions that are keys, by their SQL. */
  readonly #expressions = new Map<string, Column>();
  readonly #problem: { readonly code: string; readonly reason: string } | null;
  readonly #extent: { readonly tuples: number; readonly blocks: number };
  readonly #candidates = new Map<string, { definition: IndexDefinition; origins: CandidateOrigin[] }>();
  readonly #declined = new Map<
    string,
    { definition: IndexDefinition; code: string; reason: string; ids: Set<string> }
  >();
  readonly #drafts: { readonly statementId: string; readonly draft: KeyDraft }[] = [];

  constructor(table: Table, catalog: Catalog, settings: TableSettings) {
    this.#table = table;
    this.#catalog = catalog;
    this.#settings = settings;
    this.#context = methodContext(catalog);
    this.#columns = new Map(table.columns.map((column) => [column.name, column]));
    this.#extent = tableExtent(table, catalog);
    this.#problem = tableProblem(table, this.#extent);
  }

  addAccess(statementId: string, access: TableAccess): void {
    const plainOnly = this.#settings.plainOnly;
    const named = plainOnly ? { access, keys: new Map(), unfit: [] } : nameKeys(this.#table, access, this.#catalog);
    this.#addTrees(statementId, named, access, {});
    if (plainOnly) return;
    for (const { code, sql, columns, reason } of named.unfit) {
      const [column = ""] = columns;
      this.#decline(this.#definition([{ ...ascending(column), expression: sql }], {}), code, reason, statementId);
    }
    this.#addOtherMethods(statementId, access);
    this.#addPartial(statementId, named, access);
  }

  addForeignKey(statementId: string, columns: readonly string[]): void {
    if (columns.length > this.#settings.maxColumns) return;
    if (columns.every((name) => this.#columnMayBeKey(statementId, name))) {
      this.#offer(statementId, "foreign-key", columns.map(ascending));
    }
  }

  finish(): { readonly candidates: readonly Candidate[]; readonly declined: readonly DeclinedCandidate[] } {
    for (const { statementId, keys } of sharedOrders(this.#drafts, (column) => this.#distinct(column))) {
      this.#offer(statementId, "merged", keys);
    }
    const widest = this.#settings.maxIncludeColumns + 1;
    for (const { origins, keys, include, where } of sharedPayloads([...this.#candidates.values()], widest)) {
      for (const { statementId } of origins) {
        this.#offer(statementId, "merged", keys, { include: this.#inAttributeOrder(include), where });
      }
    }
    const obstacle = whyNotBuildable(this.#table);
    return {
      candidates: [...this.#candidates].map(([id, { definition, origins }]) => ({
        id,
        definition,
        origins,
        ...(obstacle === null ? {} : { buildable: false as const, obstacle }),
      })),
      declined: [...this.#declined.values()].map(({ definition, code, reason, ids }) => ({
        definition,
        code,
        reason,
        statementIds: [...ids],
      })),
    };
  }

  /** B-trees, of all rows or of those that the predicate lets in. */
  #addTrees(statementId: string, named: NamedAccess, written: TableAccess, part: Part): boolean {
    const { access, keys } = named;
    const { where } = part;
    for (const { key, column } of keys.values()) {
      if (key.expression !== undefined) this.#expressions.set(key.expression, column);
    }
    const names = [
      ...access.equality,
      ...access.join,
      ...access.range,
      ...access.order.map((key) => key.column),
      ...access.group,
    ];
    const usable = new Set<string>();
    const joined = access.join.length > 0;
    for (const name of new Set(names)) {
      const key = keys.get(name);
      const mayBe =
        key === undefined
          ? this.#columnMayBeKey(statementId, name, joined)
          : this.#keyMayBe(statementId, key.key, key.column, joined);
      if (mayBe) usable.add(name);
    }
    const drafts = draftKeys(
      access,
      (name) => usable.has(name),
      (name) => this.#distinctOf(keys.get(name)?.column ?? this.#columns.get(name)),
      this.#settings.maxColumns,
    );
    const byTenant = tenantFirst(drafts, this.#settings.tenantColumns);
    const { plainOnly, maxColumns } = this.#settings;
    const pairs = plainOnly && maxColumns > 1 ? draftPairs(access, (name) => usable.has(name)) : [];
    for (const draft of [...drafts, ...byTenant, ...pairs]) {
      const real = draft.keys.map((key) => {
        const other = keys.get(key.column)?.key;
        return other === undefined ? key : { ...other, direction: key.direction, nulls: key.nulls };
      });
      if (where === undefined) this.#drafts.push({ statementId, draft: { ...draft, keys: real } });
      const rule = where === undefined ? draft.rule : `${draft.rule} partial`;
      this.#offer(statementId, rule, real, part);
      const isPlain = real.every((key) => key.expression === undefined);
      if (plainOnly) this.#offerTails(statementId, real, written.referenced);
      else if (real.length <= 2 && isPlain) this.#offerCovering(statementId, real, written.referenced, part);
    }
    return drafts.length > 0;
  }

  #addOtherMethods(statementId: string, access: TableAccess): void {
    const offer = (method: IndexMethod, key: IndexKey, rule: string): void => {
      const definition = this.#definition([key], { method });
      if (this.#problem === null) this.#offer(statementId, rule, [key], { method });
      else this.#decline(definition, this.#problem.code, this.#problem.reason, statementId);
    };
    for (const condition of access.conditions ?? []) {
      for (const found of methodDrafts(this.#table, condition, this.#context)) {
        if (found.kind === "draft") offer(found.method, found.key, found.rule);
        else {
          const definition = this.#definition([found.key], { method: found.method });
          this.#decline(definition, found.code, found.reason, statementId);
        }
      }
    }
    for (const name of access.range) {
      const found = blockRangeDraft(this.#table, name, this.#extent.blocks);
      if (found !== null) offer(found.method, found.key, found.rule);
    }
  }

  #addPartial(statementId: string, named: NamedAccess, written: TableAccess): void {
    const predicates = predicatesOf(this.#table, written.conditions ?? []).filter(
      (predicate) => !this.#settings.parameters.has(parameterName(this.#table, predicate.column)),
    );
    const sets = predicates.map((predicate) => [predicate]);
    if (predicates.length > 1) sets.push([...predicates]);
    for (const set of sets) {
      const where = conjunction(set);
      const share = set.reduce((product, predicate) => product * predicate.share, 1);
      const rest = withoutColumns(
        named.access,
        set.map((predicate) => predicate.column),
      );
      const hasKeys = this.#addTrees(statementId, { ...named, access: rest }, written, { where, share });
      if (!hasKeys) this.#offerRowsOf(statementId, written, set, { where, share });
    }
    for (const name of new Set([...written.equality, ...written.range, ...written.join])) {
      const column = this.#columns.get(name);
      if (column === undefined || !isSparse(column)) continue;
      const isNull = (written.conditions ?? []).some(
        ({ subject, operator }) => operator === "is null" && subject.kind === "column" && subject.column === name,
      );
      if (!isNull && this.#columnMayBeKey(statementId, name)) {
        this.#offer(statementId, "not null", [ascending(name)], { where: notNull(column).sql });
      }
    }
  }

  // The predicate alone says which rows; any narrow column will do for a key, best one that is read or identifies the row.
  #offerRowsOf(statementId: string, access: TableAccess, set: readonly Predicate[], part: Part): void {
    const primary = this.#table.indexes.find((index) => index.primary)?.keys ?? [];
    const wanted = [...primary, ...(access.referenced ?? [])].flatMap((name) => name ?? []);
    const key = wanted.find((name) => {
      const column = this.#columns.get(name);
      const isPredicate = set.some((predicate) => predicate.column === name);
      return column?.ordered === true && !isPredicate && widthProblem([column]) === null;
    });
    if (key === undefined || !this.#columnMayBeKey(statementId, key)) return;
    this.#offer(statementId, "partial", [ascending(key)], part);
  }

  #distinct(name: string): number {
    return this.#distinctOf(this.#columns.get(name));
  }

  #distinctOf(column: Column | undefined): number {
    return column === undefined ? 1 : distinctValues(column, this.#extent.tuples);
  }

  #columnMayBeKey(statementId: string, name: string, joined = false): boolean {
    const column = this.#columns.get(name);
    return column !== undefined && this.#keyMayBe(statementId, ascending(name), column, joined);
  }

  #keyMayBe(statementId: string, key: IndexKey, column: Column, joined: boolean): boolean {
    const alone = this.#definition([key], {});
    // A tiny table is read whole at once; a join may read it once per row of the other side, and then a look-up counts.
    const general = joined && this.#problem?.code === "tiny_table" ? null : this.#problem;
    if (general !== null) return this.#decline(alone, general.code, general.reason, statementId);
    if (column.generated?.kind === "virtual") {
      const reason = `PostgreSQL cannot index the virtual column ${column.name}`;
      return this.#decline(alone, "virtual_column", reason, statementId);
    }
    if (!column.ordered) {
      const reason = `type ${column.type} of column ${column.name} has no B-tree order`;
      return this.#decline(alone, "not_ordered", reason, statementId);
    }
    const problem = widthProblem([column]);
    return problem === null || this.#decline(alone, "unbounded_width", problem, statementId);
  }

  /** Where there is no INCLUDE, what else is read goes behind the keys, as keys, so that the table itself is not read. */
  #offerTails(statementId: string, keys: readonly IndexKey[], referenced: readonly string[] | null): void {
    if (referenced === null) return;
    for (let length = 1; length <= keys.length; length += 1) {
      const head = keys.slice(0, length);
      const tail = this.#inAttributeOrder(referenced.filter((name) => !head.some((key) => key.column === name)));
      if (tail.length === 0 || length + tail.length > this.#settings.maxColumns) continue;
      const columns = [...head.map((key) => key.column), ...tail].flatMap((name) => this.#columns.get(name) ?? []);
      const isFit = columns.every(({ ordered, generated }) => ordered && generated?.kind !== "virtual");
      if (!isFit || widthProblem(columns) !== null) continue;
      this.#offer(statementId, "covering", [...head, ...tail.map(ascending)]);
    }
  }

  #offerCovering(
    statementId: string,
    keys: readonly IndexKey[],
    referenced: readonly string[] | null,
    part: Part,
  ): void {
    if (referenced === null) return;
    const payload = referenced.filter((column) => !keys.some((key) => key.column === column));
    const columns = payload.map((name) => this.#columns.get(name));
    if (payload.length === 0 || payload.length > this.#settings.maxIncludeColumns) return;
    if (columns.some((column) => column === undefined || column.generated?.kind === "virtual")) return;
    const bytes = columns.reduce(
      (sum, column) =>
        sum + ((column?.statistics ?? column?.inheritedStatistics)?.averageWidth ?? column?.maxBytes ?? 0),
      0,
    );
    if (bytes <= this.#settings.maxIncludeBytes) {
      this.#offer(statementId, "covering", keys, { ...part, include: this.#inAttributeOrder(payload) });
    }
  }

  #offer(statementId: string, rule: string, keys: readonly IndexKey[], offer: Offer = {}): void {
    const definition = this.#definition(keys, offer);
    const id = definitionId(definition);
    const known = this.#candidates.get(id);
    if (known !== undefined) {
      if (!known.origins.some((origin) => origin.statementId === statementId && origin.rule === rule)) {
        known.origins.push({ statementId, rule });
      }
      return;
    }
    const parts = [
      ...keys.map((key) =>
        key.expression === undefined ? this.#columns.get(key.column) : this.#expressions.get(key.expression),
      ),
      ...definition.include.map((name) => this.#columns.get(name)),
    ].filter((column) => column !== undefined);
    const problem = definition.method === "btree" ? widthProblem(parts) : null;
    if (problem !== null) {
      // A payload that does not fit is no loss worth telling: the index without it is a candidate as well.
      if (definition.include.length === 0) this.#decline(definition, "unbounded_width", problem, statementId);
      return;
    }
    const existing = indexThatCovers(this.#table, definition, (offer.share ?? 1) > wholeServesFrom);
    if (existing !== null) {
      this.#decline(definition, "exists", `index ${existing.name} already offers this`, statementId);
      return;
    }
    const fixed = fixedIndexWithSameKeys(this.#table, definition);
    if (fixed !== null) {
      const reason = `${fixed.name} has the same keys and has to stay, so that a wider one could not take its place`;
      this.#decline(definition, "same_keys", reason, statementId);
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

  #definition(keys: readonly IndexKey[], { method = "btree", include = [], where }: Offer): IndexDefinition {
    const table = { schema: this.#table.schema, name: this.#table.name };
    return { table, method, keys, include, ...(where === undefined ? {} : { where }) };
  }

  #inAttributeOrder(names: readonly string[]): string[] {
    const position = (name: string): number => this.#columns.get(name)?.attnum ?? 0;
    return [...new Set(names)].toSorted((a, b) => position(a) - position(b));
  }
}

const withoutColumns = (access: TableAccess, columns: readonly string[]): TableAccess => {
  const isLeft = (name: string): boolean => !columns.includes(name);
  return {
    ...access,
    equality: access.equality.filter(isLeft),
    range: access.range.filter(isLeft),
    order: access.order.filter((key) => isLeft(key.column)),
    group: access.group.filter(isLeft),
  };
};
