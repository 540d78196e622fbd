import path from "node:path";
import type { Catalog, DeclinedStatement, Statement, Workload } from "../domain/index.ts";
import { failure } from "../errors.ts";
import { fingerprintOf, lineAt, parseStatement, splitStatements, type StatementPart } from "../sql/index.ts";
import { bindingsOf } from "./binding.ts";
import type { QueryFile } from "./files.ts";
import { type Resolver, resolversFor, resolveStatement } from "./resolution.ts";
import { statementId } from "./statement-id.ts";

export interface FileWorkloadRequest {
  readonly files: readonly QueryFile[];
  readonly catalog: Catalog;
  /** How unqualified names resolve, and as whom the statements are planned. */
  readonly searchPath: readonly string[];
  readonly role: string;
  readonly seed: number;
  readonly bindingsPerStatement?: number;
}

/**
 * The workload that files of SQL describe. A statement's weight is its number of calls: 1, or what a comment in front of it or in it says,
 * `-- indexpilot: weight=10`. The parser must be loaded.
 * @throws IndexPilotError `query_file_unparsable`, `usage` (a weight that is none), `workload_empty`
 */
export const workloadFromFiles = (request: FileWorkloadRequest): Workload => {
  const { catalog, searchPath, role } = request;
  const resolver = resolversFor(catalog)(searchPath);
  const statements: Statement[] = [];
  const declined: DeclinedStatement[] = [];
  const known = new Set<string>();
  for (const file of request.files) {
    const parts = partsOf(file);
    parts.forEach((part, i) => {
      const label = path.basename(file.path) + (parts.length > 1 ? ` #${i + 1}` : "");
      const made = makeStatement(request, resolver, part, { label, weight: weightOf(file, part), known });
      if ("reason" in made) declined.push(made);
      else {
        known.add(made.id);
        statements.push({ ...made, scope: { role, searchPath } });
      }
    });
  }
  if (statements.length === 0 && declined.length === 0) {
    throw failure("workload_empty", { detail: "the files hold no statement", hint: "write queries into them" });
  }
  return { source: "files", observedFrom: null, observedTo: null, statements, declined };
};

const partsOf = (file: QueryFile): readonly StatementPart[] => {
  const split = splitStatements(file.text);
  if (split.kind === "parsed") return split.parts;
  const line = lineAt(file.text, split.cursor);
  throw failure("query_file_unparsable", { file: file.path, line, cause: split.message });
};

const weightOf = (file: QueryFile, part: StatementPart): number => {
  const written = part.comments.map((comment) => /indexpilot:\s*weight\s*=\s*(\S+)/.exec(comment)?.[1]);
  const last = written.findLast((value) => value !== undefined);
  if (last === undefined) return 1;
  const weight = Number(last);
  if (Number.isFinite(weight) && weight > 0) return weight;
  throw failure("usage", {
    problem: `${file.path}:${part.line}: weight=${last} is not a positive number`,
    hint: "write it as a comment before the statement: -- indexpilot: weight=10",
  });
};

const makeStatement = (
  request: FileWorkloadRequest,
  resolver: Resolver,
  part: StatementPart,
  named: { readonly label: string; readonly weight: number; readonly known: ReadonlySet<string> },
): Omit<Statement, "scope"> | DeclinedStatement => {
  const { label, weight } = named;
  const fingerprint = fingerprintOf(part.text);
  const parsed = parseStatement(part.text);
  if (parsed.kind === "unparsable") return { label, fingerprint, reason: `cannot be parsed: ${parsed.message}` };
  const { statement } = parsed;
  const { verb } = statement;
  if (verb === "utility") return { label, fingerprint, reason: "it is not a query: the planner has nothing to decide" };
  if (fingerprint === null) return { label, fingerprint, reason: "its text has no fingerprint" };
  const resolution = resolveStatement(statement, resolver, request.searchPath);
  if (resolution.kind === "declined") return { label, fingerprint, reason: resolution.reason };

  // Two files may hold the same shape with other literals; both are kept.
  const shared = statementId(fingerprint, { role: request.role, searchPath: request.searchPath });
  let id = shared;
  for (let n = 2; named.known.has(id); n += 1) id = `${shared}.${n}`;
  const bindings = bindingsOf({
    statement,
    resolver,
    enums: request.catalog.enums,
    rowsPerCall: null,
    seed: request.seed,
    statementId: id,
    count: request.bindingsPerStatement ?? 3,
  });
  if (bindings.length === 0) return { label, fingerprint, reason: "no values for its parameters give a valid text" };
  return {
    id,
    fingerprint,
    queryId: null,
    label,
    text: part.text,
    verb,
    calls: weight,
    totalMs: null,
    rowsPerCall: null,
    bindings,
  };
};
