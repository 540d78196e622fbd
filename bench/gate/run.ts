import type pg from "pg";
import { addGate, type GateOutcome } from "../../src/sql/index.ts";
import { sqlStateOf } from "../../src/postgres/index.ts";
import { gate, gatedIndex } from "./schema.ts";
import type { QueryShape } from "./shapes.ts";

/** How a statement is planned: with its values as literals or known, or for any values. */
export type Mode = "plain" | "prepared custom" | "prepared generic";
export const modes: readonly Mode[] = ["plain", "prepared custom", "prepared generic"];

/** The statement with its values written into it. */
export const plain = ({ text, values }: QueryShape): QueryShape => ({
  text: text.replaceAll(/\$(\d+)/g, (_, n: string) => {
    const value = values[Number(n) - 1];
    return typeof value === "string" ? `'${value.replaceAll("'", "''")}'` : String(value);
  }),
  values: [],
});

const planMode: Readonly<Record<Mode, string>> = {
  plain: "auto",
  "prepared custom": "force_custom_plan",
  "prepared generic": "force_generic_plan",
};

const modified = `
  select md5(string_agg(t::text, ',' order by t::text)) from (
    select 1, o::text from orders o union all select 2, o::text from archive.orders o union all select 3, i::text from items i
    union all select 4, c::text from customers c) t`;

const writes = (text: string): boolean => /^(with \w+ as \(delete|update|delete|insert|merge)/.test(text);

/** The rows in no particular order, with the number affected and what the tables hold afterwards; or the error's code. Nothing stays changed. */
export const outcomeOf = async (client: pg.Client, { text, values }: QueryShape): Promise<string> => {
  const write = writes(text);
  if (write) await client.query("begin");
  try {
    const result = await client.query({ text, values: [...values], rowMode: "array" });
    const rows = result.rows.map((row) => JSON.stringify(row)).toSorted();
    const state = write ? ((await client.query<{ md5: string }>(modified)).rows[0]?.md5 ?? "") : "";
    return `${result.rowCount}\n${rows.join("\n")}\n${state}`;
  } catch (error) {
    const code = sqlStateOf(error);
    if (code === null) throw error;
    return `error ${code}`;
  } finally {
    if (write) await client.query("rollback");
  }
};

/** The plan's text; null where the server refuses the statement. */
export const planOf = async (client: pg.Client, { text, values }: QueryShape, mode: Mode): Promise<string> => {
  const written = values.map((value) => (typeof value === "string" ? `'${value}'` : String(value))).join(", ");
  const explain = async (statement: string): Promise<string> => {
    const result = await client.query<{ "QUERY PLAN": string }>(`explain (costs off) ${statement}`);
    return result.rows.map((row) => row["QUERY PLAN"]).join("\n");
  };
  if (mode === "plain") return explain(text);
  await client.query(`prepare s as ${text}`);
  try {
    return await explain(`execute s${values.length === 0 ? "" : ` (${written})`}`);
  } finally {
    await client.query("deallocate s");
  }
};

export const setMode = async (client: pg.Client, mode: Mode): Promise<void> => {
  await client.query(`set plan_cache_mode = ${planMode[mode]}`);
};

/** How often any session has scanned the index on trial. */
export const scansOf = async (client: pg.Client): Promise<number> => {
  await client.query("select pg_stat_force_next_flush()");
  const { rows } = await client.query<{ n: number }>(
    `select idx_scan::int as n from pg_stat_user_indexes where indexrelname = '${gatedIndex}'`,
  );
  return rows[0]?.n ?? 0;
};

export const rewrite = (text: string): GateOutcome => addGate(text, gate);
