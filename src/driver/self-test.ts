import { decodePlan, usedIndexNames } from "../plan/index.ts";
import { addGate, type Gate, type GateSkip, loadParser } from "../sql/index.ts";

/** A connection as the application has it: its role, its search path. A client of node-postgres is one. */
export interface ApplicationConnection {
  query(text: string, values?: string[]): Promise<{ readonly rows: readonly object[] }>;
}

export type GateTest =
  /** The statements that may use the index do so with the gate: `using` of those that can be given it. None without it does. */
  | { readonly kind: "works"; readonly gated: number; readonly using: number; readonly skipped: readonly GateSkip[] }
  | (GateObjection & {
      /** The statement that shows it. */
      readonly statement: string | null;
    });

/** Why a gate cannot be stated, or does not do what it is for. */
export interface GateObjection {
  readonly kind: "fails";
  readonly code: "no_table" | "column_unreadable" | "bare_name" | "control_uses_index" | "treatment_unused";
  /** For people. */
  readonly reason: string;
}

/** Whether this connection's role may state the gate, and whether the table's name alone means the table here. Reads catalogues only. */
export const readGateStanding = async (
  connection: ApplicationConnection,
  { table: { schema, name }, column }: Pick<Gate, "table" | "column">,
): Promise<{ readonly kind: "open"; readonly bareName: boolean } | GateObjection> => {
  const { rows } = await connection.query(visible, [schema, name, column]);
  const { readable, bare } = (rows[0] ?? { readable: null, bare: null }) as Visible;
  if (readable === null) {
    return { kind: "fails", code: "no_table", reason: `there is no column ${column} in ${schema}.${name}` };
  }
  return readable
    ? { kind: "open", bareName: bare === true }
    : { kind: "fails", code: "column_unreadable", reason: `this role may not read ${schema}.${name}.${column}` };
};

/**
 * Whether the gate keeps the index from everybody else and opens it for those who state it, on the application's own connection: to be asked when the
 * index is there and before anybody is drawn. `statements` are what the index is meant for, with values in them; each is explained with the gate and
 * without, none is run. Needs no privilege that the statements themselves do not need, and takes no lock beyond EXPLAIN's.
 * @throws the driver's error when the server refuses a statement.
 */
export const testGate = async (
  connection: ApplicationConnection,
  gate: Gate,
  indexName: string,
  statements: readonly string[],
): Promise<GateTest> => {
  await loadParser();
  const fails = (code: GateObjection["code"], reason: string, statement: string | null): GateTest => ({
    kind: "fails",
    code,
    reason,
    statement,
  });
  const { schema, name } = gate.table;
  const standing = await readGateStanding(connection, gate);
  if (standing.kind === "fails") return { ...standing, statement: null };
  if (gate.bareName && !standing.bareName)
    return fails("bare_name", `${name} alone is not ${schema}.${name} here`, null);

  const uses = async (statement: string): Promise<boolean> => {
    const { rows } = await connection.query(`explain (format json) ${statement}`);
    return usedIndexNames(decodePlan((rows[0] as { "QUERY PLAN"?: unknown })["QUERY PLAN"])).includes(indexName);
  };
  const skipped: GateSkip[] = [];
  let gated = 0;
  let using = 0;
  for (const statement of statements) {
    if (await uses(statement)) return fails("control_uses_index", `without the gate, ${indexName} is used`, statement);
    const outcome = addGate(statement, gate);
    if (outcome.kind === "skipped") skipped.push(...outcome.reasons);
    if (outcome.kind !== "rewritten") continue;
    gated += 1;
    if (await uses(outcome.text)) using += 1;
  }
  return using === 0
    ? fails("treatment_unused", `with the gate, none of ${gated} statements uses ${indexName}`, null)
    : { kind: "works", gated, using, skipped };
};

interface Visible {
  /** Null where there is no such column. */
  readonly readable: boolean | null;
  readonly bare: boolean | null;
}

/** Catalogues only; privileges are the asking role's own. */
const visible = `
  select has_column_privilege(a.attrelid, a.attnum, 'select') as readable, to_regclass(quote_ident($2))::oid = a.attrelid as bare
  from pg_attribute a
  where a.attrelid = to_regclass(quote_ident($1) || '.' || quote_ident($2)) and a.attname = $3 and a.attnum > 0 and not a.attisdropped`;
