import type { Verb } from "../domain/index.ts";
import { analyseAccess, fingerprintOf, functionsOf, parseStatement } from "../sql/index.ts";

/** What a text of pg_stat_statements is to us. */
export type Classification =
  | {
      readonly kind: "statement";
      readonly fingerprint: string;
      readonly verb: Verb;
      /** Verb and tables, for people. */
      readonly label: string;
    }
  /** Never of interest: utility statements, reads of catalogues, our own schema. */
  | { readonly kind: "ignored" }
  | { readonly kind: "declined"; readonly reason: string };

const systemSchemas = new Set(["pg_catalog", "information_schema", "pg_toast"]);
const systemExtensions = new Set(["pg_stat_statements", "pg_stat_statements_info", "hypopg", "hypopg_list_indexes"]);
const systemFunction = /^(pg_|hypopg|current_(setting|database|schemas?)$|set_config$|version$|has_\w+_privilege$)/;

/** Our own questions about the application's tables name their results so: a role that is not ours alone cannot tell them apart otherwise. */
const ownResult = /\bas indexpilot_\w+/;

/**
 * @param catalogRelations names in `pg_catalog`, which come before every other schema where a name is not qualified
 */
export const classify = (text: string | null, catalogRelations: ReadonlySet<string>): Classification => {
  if (text === null) return { kind: "declined", reason: "its text is too long to analyse, or was lost by the server" };
  const parsed = parseStatement(text);
  if (parsed.kind === "unparsable") return { kind: "declined", reason: `its text cannot be parsed: ${parsed.message}` };
  const { statement } = parsed;
  if (statement.verb === "utility" || ownResult.test(text)) return { kind: "ignored" };

  const tables: { schema: string | null; name: string }[] = [];
  analyseAccess(statement, (schema, name) => {
    tables.push({ schema, name });
    return undefined;
  });
  const isSystem = tables.map(({ schema, name }) =>
    schema === null
      ? catalogRelations.has(name) || systemExtensions.has(name)
      : systemSchemas.has(schema) || systemExtensions.has(name),
  );
  const functions = functionsOf(statement);
  const onlySystem =
    tables.length > 0
      ? isSystem.every(Boolean)
      : functions.length > 0 && functions.every((name) => systemFunction.test(name));
  if (onlySystem || tables.some(({ schema }) => schema === "indexpilot")) return { kind: "ignored" };

  const fingerprint = fingerprintOf(statement);
  if (fingerprint === null) return { kind: "declined", reason: "its text has no fingerprint" };
  const names = [...new Set(tables.map(({ name }) => name))];
  return { kind: "statement", fingerprint, verb: statement.verb, label: labelOf(statement.verb, names) };
};

const labelOf = (verb: Verb, names: readonly string[]): string => {
  const shown = names.slice(0, 3).join(", ") + (names.length > 3 ? ", …" : "");
  return shown === "" ? verb : `${verb} ${shown}`;
};
