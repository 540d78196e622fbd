import {
  type ArmName,
  type Experiment,
  gateNumber,
  type IndexDefinition,
  type ObservationScope,
  type Statement,
  tableId,
  type TableName,
} from "../domain/index.ts";
import { IndexPilotError } from "../errors.ts";
import { decodePlan, usedIndexNames } from "../plan/index.ts";
import { quoteIdentifier, quoteName, type Session } from "../postgres/index.ts";
import { addGate, type Gate, gateCondition } from "../sql/index.ts";
import type { Tenants } from "../verification/index.ts";
import type { TargetPlans } from "../whatif/index.ts";
import { bindingFor, resolversFor } from "../workload/index.ts";
import { calibrationText, readSubject } from "./analysis.ts";
import { liveTarget } from "./source.ts";
import type { PilotContext } from "./target.ts";
import { workloadOfTraffic } from "./workload.ts";

/** What the workload does with a table. */
export interface TableWorkload {
  /** Statements that read or write it, with what to ask the target's planner about each. */
  readonly texts: readonly { readonly fingerprint: string; readonly scope: ObservationScope; readonly sql: string }[];
  /** `Statement.id` of what writes it, and of what uses none of it. */
  readonly writeIds: readonly string[];
  readonly controlIds: readonly string[];
  readonly plans: TargetPlans;
}

/**
 * Reads the workload for what it does with one table; null where nothing has been counted. Reads only.
 * @param tenants where an index holds the rows of some tenants: each statement that asks for one of a tenant's is asked about for one of them as well
 */
export const readTableWorkload = async (
  context: PilotContext,
  session: Session,
  table: TableName,
  tenants: Tenants | null = null,
): Promise<TableWorkload | null> => {
  const traffic = workloadOfTraffic(context, session, {
    observeMs: null,
    seed: context.settings.seed,
    everything: true,
  });
  const source = liveTarget(session, traffic);
  const quiet = (): void => undefined;
  try {
    const { catalog, workload, accesses, explainable } = await readSubject(source, quiet, context.signal);
    const resolverOf = resolversFor(catalog);
    const askingFor = (statement: Statement, { column, upTo }: Tenants): string | null => {
      const { seed } = context.settings;
      const known = { resolver: resolverOf(statement.scope.searchPath), enums: catalog.enums, seed };
      const sql = bindingFor(statement, known, { column, value: upTo });
      return sql === null ? null : calibrationText(statement, sql);
    };
    const own = tableId(table);
    const uses = (id: string) => (accesses.get(id) ?? []).filter((access) => tableId(access.table) === own);
    return {
      texts: explainable.flatMap(({ statement, calibrationSql }) =>
        uses(statement.id).length === 0
          ? []
          : [...calibrationSql, tenants === null ? null : askingFor(statement, tenants)].flatMap((sql) =>
              sql === null ? [] : [{ fingerprint: statement.fingerprint, scope: statement.scope, sql }],
            ),
      ),
      writeIds: workload.statements
        .filter(({ id, verb }) => verb !== "select" && uses(id).some(({ written }) => written.length > 0))
        .map(({ id }) => id),
      controlIds: workload.statements
        .filter(({ id }) => (accesses.get(id) ?? []).length > 0 && uses(id).length === 0)
        .map(({ id }) => id),
      plans: source.plans,
    };
  } catch (error) {
    if (error instanceof IndexPilotError && ["workload_empty", "extension_missing"].includes(error.code)) return null;
    throw error;
  }
};

export type ArmsTest =
  /** Each index is closed to what does not state its gate. `deciding`: fingerprints whose plan uses an arm's index; `tested`: texts asked about. */
  | { readonly kind: "works"; readonly deciding: readonly string[]; readonly tested: number }
  | { readonly kind: "fails"; readonly code: "control_uses_index" | "gate_unproved"; readonly reason: string };

/** An arm's index as it stands. */
export interface StandingArm {
  readonly arm: ArmName;
  /** Of the gate. */
  readonly column: string;
  /** Where it holds the rows of some tenants: those up to this value. */
  readonly upTo?: string;
  readonly indexName: string;
  readonly index: IndexDefinition;
}

/**
 * Asks the target's planner, before anybody is drawn, whether each arm's index is closed to statements that do not state its gate and open to those that do: first
 * with a statement made for that, then with each of the workload. EXPLAIN only, in read-only transactions.
 */
export const testArms = async (
  session: Session,
  experiment: Pick<Experiment, "number" | "table">,
  arms: readonly StandingArm[],
  workload: TableWorkload | null,
): Promise<ArmsTest> => {
  const gateOf = ({ arm, column }: StandingArm): Gate => ({
    table: experiment.table,
    column,
    number: gateNumber(experiment, arm),
    bareName: true,
  });
  for (const standing of arms) {
    const { indexName } = standing;
    const ordered = await firstInOrder(session, experiment.table, standing);
    if (ordered === null) continue;
    const from = `select 1 from ${quoteName(experiment.table)} as t`;
    if ((await usedBy(session, `${from} ${ordered}`)).includes(indexName)) {
      return { kind: "fails", code: "control_uses_index", reason: `${indexName} is used without its gate` };
    }
    const condition =
      standing.upTo === undefined
        ? gateCondition(gateOf(standing), "t")
        : `t.${quoteIdentifier(standing.column)} <= ${standing.upTo}`;
    const stated = `${from} where ${condition} ${ordered}`;
    if (!(await usedBy(session, stated)).includes(indexName)) {
      return { kind: "fails", code: "gate_unproved", reason: `${indexName} is not used by what states its gate` };
    }
  }
  if (workload === null) return { kind: "works", deciding: [], tested: 0 };

  const names = new Set(arms.map(({ indexName }) => indexName));
  const plain = await workload.plans(workload.texts);
  const deciding = new Set<string>();
  for (const [i, answer] of plain.entries()) {
    const leaked = answer.kind === "read" ? usedIndexNames(answer.value).find((name) => names.has(name)) : undefined;
    if (leaked === undefined) continue;
    const { fingerprint } = workload.texts[i] ?? { fingerprint: "" };
    // What asks for a tenant that has it uses it.
    if (arms.some(({ upTo }) => upTo !== undefined)) {
      deciding.add(fingerprint);
      continue;
    }
    const reason = `statement ${fingerprint} uses ${leaked} without its gate`;
    return { kind: "fails", code: "control_uses_index", reason };
  }
  for (const standing of arms) {
    if (standing.upTo !== undefined) continue;
    const gated = workload.texts.flatMap(({ fingerprint, scope, sql }) => {
      const outcome = addGate(sql, gateOf(standing));
      return outcome.kind === "rewritten" ? [{ fingerprint, scope, sql: outcome.text }] : [];
    });
    for (const [i, answer] of (await workload.plans(gated)).entries()) {
      const text = gated[i];
      if (text === undefined || answer.kind !== "read") continue;
      if (usedIndexNames(answer.value).includes(standing.indexName)) deciding.add(text.fingerprint);
    }
  }
  return { kind: "works", deciding: [...deciding].toSorted(), tested: workload.texts.length };
};

/**
 * The end of a statement that only an index like this one answers without sorting the table; null where another index would do as well, or an index gives
 * no order.
 */
const firstInOrder = async (
  session: Session,
  table: TableName,
  { index, indexName }: StandingArm,
): Promise<string | null> => {
  const [key] = index.keys;
  if (index.method !== "btree" || index.where !== undefined || key === undefined || key.expression !== undefined) {
    return null;
  }
  const rivals = await session.query(
    `select from pg_catalog.pg_index i
       join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0] and a.attname = $2
       join pg_catalog.pg_class c on c.oid = i.indexrelid and c.relname <> $3
      where i.indrelid = $1::regclass and i.indisvalid and i.indpred is null`,
    [quoteName(table), key.column, indexName],
  );
  return rivals.length > 0
    ? null
    : `order by t.${quoteIdentifier(key.column)} ${key.direction} nulls ${key.nulls} limit 1`;
};

/** Indexes that the plan of a statement uses where reading the table through is made dear. */
const usedBy = async (session: Session, sql: string): Promise<readonly string[]> => {
  const results = await session.script<{ "QUERY PLAN"?: unknown }>(
    `begin transaction read only; set local enable_seqscan = off; explain (format json) ${sql}; rollback;`,
  );
  return usedIndexNames(decodePlan(results.flat().find((row) => "QUERY PLAN" in row)?.["QUERY PLAN"]));
};
