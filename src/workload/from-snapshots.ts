import type { Catalog, DeclinedStatement, Statement, StatementCounters, Workload } from "../domain/index.ts";
import { parseStatement, toSelect } from "../sql/index.ts";
import { bindingsOf } from "./binding.ts";
import { discontinuity, restarted } from "./block.ts";
import { combined, difference } from "./counters.ts";
import { type Resolver, resolverFor, resolveStatement } from "./resolution.ts";
import type { SnapshotRow, StatementsSnapshot } from "./snapshot.ts";

export interface WorkloadRequest {
  /** The beginning of the observation; null takes the counters as they are, since they were last reset. */
  readonly from: StatementsSnapshot | null;
  readonly to: StatementsSnapshot;
  readonly catalog: Catalog;
  readonly seed: number;
  /** Texts with values per statement. */
  readonly bindingsPerStatement?: number;
}

interface Observed {
  readonly row: SnapshotRow;
  readonly counters: StatementCounters;
}

/**
 * The workload between two snapshots, heaviest statement first. After a reset or restart in between, and for statements that were thrown out and came
 * back, what was counted since counts. Query ids of one shape, role and search path are one statement. The parser must be loaded.
 */
export const buildWorkload = (request: WorkloadRequest): Workload => {
  const { from, to, catalog } = request;
  const usable = from !== null && discontinuity(from, to) === null ? from : null;
  const early = new Map((usable?.rows ?? []).map((row) => [row.key, row]));
  const observed = to.rows.flatMap((row): Observed[] => {
    const before = early.get(row.key);
    const counters =
      before === undefined || restarted(row, before) ? row.counters : difference(row.counters, before.counters);
    return counters.calls > 0 ? [{ row, counters }] : [];
  });

  const declined: DeclinedStatement[] = [];
  const shapes = new Map<string, Observed[]>();
  for (const one of observed) {
    const { classification, id, text, queryId } = one.row;
    if (classification.kind === "statement" && id !== null && text !== null) {
      shapes.set(id, [...(shapes.get(id) ?? []), one]);
    } else if (classification.kind === "declined") {
      declined.push({ label: `query id ${queryId}`, fingerprint: null, reason: classification.reason });
    }
  }
  if (to.hidden > 0) {
    const reason = "their texts are hidden from this role: grant pg_read_all_stats";
    declined.push({ label: `${to.hidden} statements of other roles`, fingerprint: null, reason });
  }

  const resolvers = new Map<string, Resolver>();
  const statements = [...shapes].flatMap(([id, rows]): Statement[] => {
    const path = rows[0]?.row.scope.searchPath ?? [];
    const key = JSON.stringify(path);
    const resolver = resolvers.get(key) ?? resolverFor(catalog, path);
    resolvers.set(key, resolver);
    const made = makeStatement(request, resolver, id, rows);
    if (!("reason" in made)) return [made];
    declined.push(made);
    return [];
  });
  return {
    source: "pg_stat_statements",
    observedFrom: usable === null ? to.resetAt : usable.takenAt,
    observedTo: to.takenAt,
    statements: statements.sort((a, b) => (b.totalMs ?? 0) - (a.totalMs ?? 0)),
    declined,
  };
};

const makeStatement = (
  request: WorkloadRequest,
  resolver: Resolver,
  id: string,
  rows: readonly Observed[],
): Statement | DeclinedStatement => {
  // The heaviest text speaks for the shape.
  const [{ row, counters: heaviest }, ...others] = rows.toSorted((a, b) => b.counters.totalMs - a.counters.totalMs) as [
    Observed,
    ...Observed[],
  ];
  const text = row.text ?? "";
  const parsed = parseStatement(text);
  if (row.classification.kind === "declined" || parsed.kind === "unparsable") {
    return { label: `query id ${row.queryId}`, fingerprint: null, reason: "its text cannot be parsed" };
  }
  const { statement } = parsed;
  const { fingerprint, verb, label } = row.classification;
  const { searchPath } = row.scope;
  const resolution = resolveStatement(statement, resolver, searchPath);
  if (resolution.kind === "declined") return { label, fingerprint, reason: resolution.reason };
  const { access } = resolution;

  // The same text under several ids: to the server its names meant several tables (before 18, ids are made from table OIDs).
  const sameText = others.some((other) => other.row.text === row.text);
  if (sameText && access.tables.some(resolver.isAmbiguous)) {
    const reason =
      "its search path is not clear: the application switches between schemas with tables of the same name";
    return { label, fingerprint, reason };
  }

  const counters = others.reduce((sum, other) => combined(sum, other.counters), heaviest);
  const rowsPerCall = counters.rows / counters.calls;
  const isFixed = access.tables.length === 0 || (verb === "insert" && toSelect(text) === null);
  const bindings = bindingsOf({
    statement,
    resolver,
    enums: request.catalog.enums,
    rowsPerCall,
    seed: request.seed,
    statementId: id,
    // Values do not change what it costs to insert a row.
    count: isFixed ? 1 : (request.bindingsPerStatement ?? 3),
  });
  if (bindings.length === 0) return { label, fingerprint, reason: "no values for its parameters give a valid text" };
  return {
    id,
    fingerprint,
    queryId: row.queryId,
    label,
    text,
    verb,
    scope: row.scope,
    calls: counters.calls,
    totalMs: counters.totalMs,
    rowsPerCall,
    bindings,
  };
};
