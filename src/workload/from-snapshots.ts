import {
  type Catalog,
  type DeclinedStatement,
  type MinorStatement,
  type Statement,
  type StatementCounters,
  tableId,
  type Workload,
} from "../domain/index.ts";
import {
  fingerprintOf,
  parseStatement,
  type ParsedStatement,
  type StatementAccess,
  toSelect,
  withoutGates,
} from "../sql/index.ts";
import { bindingsOf } from "./binding.ts";
import { discontinuity, restarted } from "./block.ts";
import { combined, difference } from "./counters.ts";
import { type Resolver, resolversFor, resolveStatement } from "./resolution.ts";
import { statementId } from "./statement-id.ts";
import type { SnapshotRow, StatementsSnapshot } from "./snapshot.ts";

/** What one node has counted. */
export interface Observation {
  /** The beginning of the observation; null takes the counters as they are, since they were last reset. */
  readonly from: StatementsSnapshot | null;
  readonly to: StatementsSnapshot;
}

export interface WorkloadRequest extends Observation {
  /** What its replicas have counted of the same database. */
  readonly replicas?: readonly Observation[];
  readonly catalog: Catalog;
  readonly seed: number;
  /** Texts with values per statement. */
  readonly bindingsPerStatement?: number;
  /** Plan at least so many of the heaviest statements, whatever their share of the time. Default 200: a workload that small is planned in seconds. */
  readonly leastPlanned?: number;
}

/** The heaviest statements that together take this share of the time are planned; the rest is {@link MinorStatement}. */
const plannedShare = 0.99;

interface Observed {
  readonly row: SnapshotRow;
  readonly counters: StatementCounters;
}

/** All that was observed of one statement. */
interface Shape {
  readonly id: string;
  readonly rows: readonly Observed[];
  readonly counters: StatementCounters;
}

/**
 * The workload between two snapshots, heaviest statement first. After a reset or restart in between, and for statements that were thrown out and came
 * back, what was counted since counts. Query ids of one shape, role and search path are one statement, on whichever node they ran. The parser must be
 * loaded.
 */
export const buildWorkload = (request: WorkloadRequest): Workload => {
  const { to, replicas = [], catalog, leastPlanned = 200 } = request;
  const observed = [request, ...replicas].flatMap(observedBy).map(withoutExperiment);

  const declined: DeclinedStatement[] = [];
  const rowsById = new Map<string, Observed[]>();
  for (const one of observed) {
    const { classification, id, text, queryId } = one.row;
    if (classification.kind === "statement" && id !== null && text !== null) {
      const rows = rowsById.get(id);
      if (rows === undefined) rowsById.set(id, [one]);
      else rows.push(one);
    } else if (classification.kind === "declined") {
      declined.push({ label: `query id ${queryId}`, fingerprint: null, reason: classification.reason });
    }
  }
  const hidden = [to, ...replicas.map((replica) => replica.to)].reduce((sum, one) => sum + one.hidden, 0);
  if (hidden > 0) {
    const reason = "their texts are hidden from this role: grant pg_read_all_stats";
    declined.push({
      label: `${String(hidden)} statements of other roles`,
      statements: hidden,
      fingerprint: null,
      reason,
    });
  }

  const shapes = [...rowsById].map(([id, rows]) => shapeOf(id, rows));
  shapes.sort((a, b) => b.counters.totalMs - a.counters.totalMs);
  const wholeMs = shapes.reduce((sum, { counters }) => sum + counters.totalMs, 0);
  const resolverOf = resolversFor(catalog);
  const statements: Statement[] = [];
  const minor: MinorStatement[] = [];
  let heavierMs = 0;
  for (const shape of shapes) {
    const resolver = resolverOf(shape.rows[0]?.row.scope.searchPath ?? []);
    const read = readShape(resolver, shape);
    const isMinor = statements.length >= leastPlanned && heavierMs >= plannedShare * wholeMs;
    heavierMs += shape.counters.totalMs;
    if ("reason" in read) declined.push(read);
    else if (isMinor) minor.push(minorStatement(shape, read));
    else {
      const made = plannedStatement(request, resolver, shape, read);
      if ("reason" in made) declined.push(made);
      else statements.push(made);
    }
  }
  return {
    source: "pg_stat_statements",
    observedFrom: continuousFrom(request)?.takenAt ?? to.resetAt,
    observedTo: to.takenAt,
    statements,
    ...(minor.length === 0 ? {} : { minor }),
    declined,
  };
};

/** The beginning, where its counters can be subtracted. */
const continuousFrom = ({ from, to }: Observation): StatementsSnapshot | null =>
  from !== null && discontinuity(from, to) === null ? from : null;

const observedBy = (observation: Observation): Observed[] => {
  const early = new Map((continuousFrom(observation)?.rows ?? []).map((row) => [row.key, row]));
  return observation.to.rows.flatMap((row): Observed[] => {
    const before = early.get(row.key);
    const counters =
      before === undefined || restarted(row, before) ? row.counters : difference(row.counters, before.counters);
    return counters.calls > 0 ? [{ row, counters }] : [];
  });
};

/** What stated the gate of an experiment is the application's statement all the same: under its own id, it weighs with the others. */
const withoutExperiment = (one: Observed): Observed => {
  const { row } = one;
  const text = row.text === null || row.classification.kind !== "statement" ? null : withoutGates(row.text);
  const fingerprint = text === null ? null : fingerprintOf(text);
  if (text === null || fingerprint === null || row.classification.kind !== "statement") return one;
  const classification = { ...row.classification, fingerprint };
  return { ...one, row: { ...row, text, classification, id: statementId(fingerprint, row.scope) } };
};

const shapeOf = (id: string, rows: readonly Observed[]): Shape => {
  // The heaviest text speaks for the shape.
  const sorted = rows.toSorted((a, b) => b.counters.totalMs - a.counters.totalMs);
  const counters = sorted.map((one) => one.counters).reduce(combined);
  return { id, rows: sorted, counters };
};

interface ReadShape {
  readonly row: SnapshotRow & { readonly classification: { readonly kind: "statement" } };
  readonly statement: ParsedStatement;
  readonly access: StatementAccess;
}

const readShape = (resolver: Resolver, { rows }: Shape): ReadShape | DeclinedStatement => {
  const [{ row }, ...others] = rows as [Observed, ...Observed[]];
  const { classification } = row;
  const parsed = parseStatement(row.text ?? "");
  if (classification.kind === "declined" || parsed.kind === "unparsable") {
    return { label: `query id ${row.queryId}`, fingerprint: null, reason: "its text cannot be parsed" };
  }
  const { statement } = parsed;
  const { fingerprint, label } = classification;
  const resolution = resolveStatement(statement, resolver, row.scope.searchPath);
  if (resolution.kind === "declined") return { label, fingerprint, reason: resolution.reason };
  const { access } = resolution;

  // The same text under several ids: to the server its names meant several tables (before 18, ids are made from table OIDs).
  const sameText = others.some((other) => other.row.text === row.text && other.row.queryId !== row.queryId);
  if (sameText && access.tables.some(resolver.isAmbiguous)) {
    const reason =
      "its search path is not clear: the application switches between schemas with tables of the same name";
    return { label, fingerprint, reason };
  }
  return { row: { ...row, classification }, statement, access };
};

const minorStatement = ({ id, counters }: Shape, { row, access }: ReadShape): MinorStatement => {
  const { fingerprint, verb, label } = row.classification;
  return {
    id,
    fingerprint,
    label,
    verb,
    calls: counters.calls,
    totalMs: counters.totalMs,
    rowsPerCall: counters.rows / counters.calls,
    uses: access.tables.map((table) => ({
      table,
      written: access.accesses.filter((one) => tableId(one.table) === tableId(table)).flatMap((one) => one.written),
    })),
  };
};

const plannedStatement = (
  request: WorkloadRequest,
  resolver: Resolver,
  { id, counters }: Shape,
  { row, statement, access }: ReadShape,
): Statement | DeclinedStatement => {
  const { fingerprint, verb, label } = row.classification;
  const { text } = statement;
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
