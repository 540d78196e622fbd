import {
  type Catalog,
  type DeclinedStatement,
  type Statement,
  type TableAccess,
  tableId,
  type Workload,
} from "../domain/index.ts";
import { failure } from "../errors.ts";
import { analyseAccess, functionsOf, loadParser, parseStatement, toSelect } from "../sql/index.ts";
import { partFor } from "../shadow/index.ts";
import type { CalibrationStatement } from "../whatif/index.ts";
import { resolversFor } from "../workload/index.ts";
import type { Emit } from "./events.ts";
import type { TargetSource } from "./source.ts";
import type { BlindSpot } from "./visibility.ts";

/** What every analysis begins with: the catalogue, the workload, and what the one has to do with the other. */
export interface Subject {
  readonly catalog: Catalog;
  /** As much of it as planning the statements needs. */
  readonly planned: Catalog;
  /** Without the statements that use tables through views and functions only: they are among the declined. */
  readonly workload: Workload;
  readonly blindSpots: readonly BlindSpot[];
  /** How each statement uses each table, by statement id. */
  readonly accesses: ReadonlyMap<string, readonly TableAccess[]>;
  /** Statements that use a table of the catalogue, with what to ask the target about each. */
  readonly explainable: readonly CalibrationStatement[];
}

export const count = (n: number, noun: string, plural = `${noun}s`): string =>
  `${String(n)} ${n === 1 ? noun : plural}`;

/** @throws IndexPilotError `workload_empty` when no statement can be analysed */
export const readSubject = async (source: TargetSource, emit: Emit, signal: AbortSignal): Promise<Subject> => {
  await loadParser();
  emit({ kind: "step", text: "reading the catalogue and the planner's statistics" });
  const catalog = await source.readCatalog();
  emit({
    kind: "note",
    text: `${count(catalog.tables.length, "table")}, ${count(catalog.tables.flatMap((t) => t.indexes).length, "index", "indexes")}`,
  });
  signal.throwIfAborted();
  const { workload, accesses } = usesOfTables(await source.readWorkload(catalog), catalog);
  if (workload.statements.length === 0) {
    const [first] = workload.declined;
    throw failure("workload_empty", {
      detail:
        first === undefined
          ? "nothing has been recorded in this database"
          : `${count(workload.declined.length, "statement")} left out, e.g. ${first.label}: ${first.reason}`,
      hint: "let the application run for a while, watch it with --observe 10m, or give SQL files with --queries 'dir/*.sql'",
    });
  }
  const blindSpots = await source.readBlindSpots();
  const explainable = workload.statements
    .filter((statement) => (accesses.get(statement.id) ?? []).length > 0)
    .map((statement) => ({
      statement,
      calibrationSql: statement.bindings.map((binding) => calibrationText(statement, binding.sql)),
    }));
  return { catalog, planned: plannedPart(catalog, workload, accesses), workload, blindSpots, accesses, explainable };
};

/** A catalogue of so few tables is rebuilt whole, in a few seconds. */
const fewTables = 300;

/** All of a small catalogue, unless there are statements that are not planned; else what those that are need of it. */
const plannedPart = (
  catalog: Catalog,
  { statements, minor = [] }: Workload,
  accesses: ReadonlyMap<string, readonly TableAccess[]>,
): Catalog =>
  minor.length === 0 && catalog.tables.length <= fewTables
    ? catalog
    : partFor(catalog, {
        tables: new Set([...accesses.values()].flatMap((some) => some.map((access) => tableId(access.table)))),
        texts: statements.map(({ text }) => text),
        schemas: new Set(statements.flatMap(({ scope }) => scope.searchPath)),
      });

/** A SELECT's EXPLAIN asks for no more than reading; a write is compared by the SELECT that finds the same rows. */
export const calibrationText = (statement: Pick<Statement, "verb">, sql: string): string | null =>
  statement.verb === "select" ? sql : toSelect(sql);

const indirect = "it uses no table directly: views and functions are not looked into";

/** What each statement asks of each table; what asks only views and functions for anything is declined. */
const usesOfTables = (workload: Workload, catalog: Catalog): Pick<Subject, "workload" | "accesses"> => {
  const known = new Set(catalog.tables.map(tableId));
  const routines = new Set((catalog.routines ?? []).map(({ name }) => bareName(name)));
  const resolverOf = resolversFor(catalog);
  const accesses = new Map<string, readonly TableAccess[]>();
  const declined: DeclinedStatement[] = [];
  for (const { id, label, fingerprint, text, scope } of workload.statements) {
    const parsed = parseStatement(text);
    if (parsed.kind !== "parsed") throw new Error(`the workload holds a statement that does not parse: ${label}`);
    const found = analyseAccess(parsed.statement, resolverOf(scope.searchPath).lookup);
    const own = found.accesses.filter((access) => known.has(tableId(access.table)));
    const asksOthers = found.unresolved.length > 0 || functionsOf(parsed.statement).some((name) => routines.has(name));
    if (own.length === 0 && asksOthers) declined.push({ label, fingerprint, reason: indirect });
    else accesses.set(id, own);
  }
  const statements = workload.statements.filter(({ id }) => accesses.has(id));
  return { workload: { ...workload, statements, declined: [...workload.declined, ...declined] }, accesses };
};

/** `f` of `schema.f(integer)`. */
const bareName = (routine: string): string => routine.slice(routine.indexOf(".") + 1, routine.indexOf("("));
