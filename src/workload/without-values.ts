import type { Catalog, DeclinedStatement, Statement, Workload } from "../domain/index.ts";
import { normalise, parseStatement, withoutComments } from "../sql/index.ts";
import { bindingsOf } from "./binding.ts";
import { resolversFor } from "./resolution.ts";

/**
 * The same workload without the constants and comments of its texts and without real values for its parameters: plausible ones of the right type stand in their
 * place, and every binding says so. `catalog` is one without values. The parser must be loaded.
 */
export const withoutValues = (workload: Workload, catalog: Catalog, seed: number): Workload => {
  const resolverOf = resolversFor(catalog);
  const statements: Statement[] = [];
  const declined: DeclinedStatement[] = [...workload.declined];
  for (const statement of workload.statements) {
    const normalised = normalise(statement.text);
    const text = normalised === null ? null : withoutComments(normalised);
    const parsed = text === null ? null : parseStatement(text);
    const bindings =
      parsed?.kind !== "parsed"
        ? []
        : bindingsOf({
            statement: parsed.statement,
            resolver: resolverOf(statement.scope.searchPath),
            enums: catalog.enums,
            rowsPerCall: statement.rowsPerCall,
            seed,
            statementId: statement.id,
            count: statement.bindings.length,
          });
    const { label, fingerprint } = statement;
    if (text === null || bindings.length === 0) {
      declined.push({ label, fingerprint, reason: "without its constants it does not parse" });
    } else statements.push({ ...statement, text, bindings });
  }
  return { ...workload, statements, declined };
};
