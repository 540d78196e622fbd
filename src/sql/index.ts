/**
 * What does one SQL statement say?
 *
 * A statement as data: parsed by PostgreSQL's own grammar (libpg_query, WebAssembly), taken apart into what it asks of each table, where its parameters
 * stand, and what SELECT does the same scans. Pure: knows no database; names are resolved by a function that the caller gives.
 * Invariants: no text makes it throw; texts are changed by splicing at token positions, never by printing a tree, and are parsed again.
 * Left to others: which values stand for parameters (workload), which indexes follow (candidates).
 */
export { addGate, type GateOutcome, mentions } from "./add-gate.ts";
export { analyseAccess, functionsOf, parameterUses, type StatementAccess } from "./access.ts";
export { type Gate, gateCondition, gatedPredicateText, gatePredicate, withoutGates } from "./gate.ts";
export type { GateSkip } from "./gate-places.ts";
export { type Splice, spliced } from "./gate-positions.ts";
export { type IndexReading, readIndexStatement } from "./index-statement.ts";
export type { ParameterOperator, ParameterUse } from "./parameter-use.ts";
export {
  fingerprintOf,
  lineAt,
  loadParser,
  maximumStatementBytes,
  normalise,
  type ParsedStatement,
  parseStatement,
  splitStatements,
  type StatementPart,
} from "./parser.ts";
export type { KnownTable, TableLookup } from "./scope.ts";
export { type Shape, shapeOf } from "./shape.ts";
export { substituteParameters, withoutComments } from "./tokens.ts";
export { toSelect } from "./to-select.ts";
