import { createHash } from "node:crypto";
import {
  type Catalog,
  type ChosenIndex,
  type Confidence,
  type CostPrediction,
  definitionId,
  type Deployment,
  type Finding,
  type IndexDefinition,
  type ServerIdentity,
  type Table,
  type TableName,
  tableId,
} from "../domain/index.ts";
import { failure } from "../errors.ts";
import { quoteName } from "../postgres/index.ts";
import { type Advice, confidenceOf, queryName } from "./advice.ts";
import { dropReportOf } from "./index-report.ts";

/** One index to build, with what its verdict will be made from. */
export interface PlannedIndex {
  readonly definition: IndexDefinition;
  readonly predictedBytes: number;
  /** `Statement.id` of those it is meant for, and their names for people. */
  readonly statementIds: readonly string[];
  readonly queries: readonly string[];
  readonly costBefore: number;
  readonly costAfter: number;
  /** Statements that write its table and pay for it. */
  readonly writeIds: readonly string[];
  /** Absent in plans of older versions. */
  readonly prediction?: CostPrediction;
  readonly confidence?: Confidence;
  /** Absent where the analysis of the workload wants it. */
  readonly finding?: Finding;
}

/** An index that could go. For a person to read: what is not ours goes only when a person names it. */
export interface RecommendedDrop {
  /** Qualified and quoted. */
  readonly name: string;
  readonly table: TableName;
  readonly definition: string;
  readonly sizeBytes: number;
  /** See `ProposedDrop`. */
  readonly code: string;
  readonly reason: string;
  /** Null where there is no way that lets reads and writes through. */
  readonly sql: string | null;
  readonly remark: string;
}

/** What an analysis wants to have changed, apart from how it was found: can be reviewed, stored, and carried out later. */
export interface ChangePlan {
  readonly target: Pick<ServerIdentity, "systemIdentifier" | "databaseOid" | "database">;
  /** The tables that change, and a digest of their columns and indexes as they were when this was decided. */
  readonly tables: readonly (TableName & { readonly oid: number; readonly structure: string })[];
  /** Statements on none of these tables: what happens to them is drift. */
  readonly controlIds: readonly string[];
  readonly create: readonly PlannedIndex[];
  /** Advice only: carrying out a plan drops nothing. */
  readonly drop: readonly RecommendedDrop[];
}

/** A digest of what a decision about a table rests on: columns, types, and indexes; not its rows, statistics or sizes. */
const structureOf = (table: Table): string =>
  createHash("sha256")
    .update(
      JSON.stringify([
        table.kind,
        table.columns.map((column) => [column.name, column.type, column.notNull, column.collation]),
        table.indexes.map((index) => `${index.definition} ${String(index.valid)}`).toSorted((a, b) => (a < b ? -1 : 1)),
      ]),
    )
    .digest("hex")
    .slice(0, 16);

/** The changes an advice asks for, without those that we cannot carry out (see {@link Advice.obstacles}). */
export const changePlan = (advice: Advice): ChangePlan => {
  const { catalog, workload } = advice;
  const create = advice.configuration.create.filter(({ index }) => !advice.obstacles.has(index.id));
  const changing = new Map(
    create.map((chosen) => {
      const id = tableId(chosen.index.definition.table);
      const table = catalog.tables.find((one) => tableId(one) === id);
      if (table === undefined) throw new Error("an index was chosen on a table that is not in the catalogue");
      return [id, table] as const;
    }),
  );
  const accesses = (id: string) => advice.accesses.get(id) ?? [];
  return {
    target: {
      systemIdentifier: catalog.server.systemIdentifier,
      databaseOid: catalog.server.databaseOid,
      database: catalog.server.database,
    },
    tables: [...changing.values()].map((table) => ({
      schema: table.schema,
      name: table.name,
      oid: table.oid,
      structure: structureOf(table),
    })),
    controlIds: workload.statements
      .filter(
        ({ id }) => accesses(id).length > 0 && !accesses(id).some((access) => changing.has(tableId(access.table))),
      )
      .map(({ id }) => id),
    create: create.map((chosen) => {
      const own = tableId(chosen.index.definition.table);
      const served = new Set(chosen.statementIds);
      return {
        definition: chosen.index.definition,
        predictedBytes: chosen.index.estimatedBytes,
        statementIds: chosen.statementIds,
        queries: chosen.statementIds.map((id) => queryName(advice, id)),
        costBefore: chosen.costBefore,
        costAfter: chosen.costAfter,
        writeIds: [
          ...workload.statements.map(({ id, verb }) => ({ id, verb, uses: accesses(id) })),
          ...(workload.minor ?? []),
        ]
          .filter(
            ({ id, verb, uses }) =>
              verb !== "select" &&
              !served.has(id) &&
              uses.some((use) => tableId(use.table) === own && use.written.length > 0),
          )
          .map(({ id }) => id),
        prediction: predictionOf(advice, chosen),
        confidence: confidenceOf(advice, chosen).level,
      };
    }),
    drop: advice.configuration.drop.map((drop) => {
      const { name, sql, remark } = dropReportOf(advice, drop);
      const { table, code, reason } = drop;
      const { definition, sizeBytes } = drop.index;
      return { name, table, definition, sizeBytes, code, reason, sql, remark };
    }),
  };
};

const predictionOf = (advice: Advice, { index, gains = [] }: ChosenIndex): CostPrediction => {
  const { upkeep, workload } = advice;
  const own = tableId(index.definition.table);
  const writingMs = workload.statements
    .filter(({ id }) =>
      (advice.accesses.get(id) ?? []).some((access) => tableId(access.table) === own && access.written.length > 0),
    )
    .reduce((sum, { totalMs }) => sum + (totalMs ?? 0), 0);
  const paidMs = upkeep.kind === "charged" ? upkeep.of(index).ms : null;
  const savedMs =
    advice.configuration.unit === "milliseconds" ? gains.reduce((sum, { saving }) => sum + saving, 0) : null;
  return {
    buildMs: upkeep.buildMs(index),
    writeOverhead: paidMs !== null && writingMs > 0 ? paidMs / writingMs : null,
    savedPerPaid: paidMs !== null && paidMs > 0 && savedMs !== null ? savedMs / paidMs : null,
  };
};

/** The table of the plan that an index is for. */
export const plannedTable = (plan: ChangePlan, { definition }: PlannedIndex): ChangePlan["tables"][number] => {
  const id = tableId(definition.table);
  const table = plan.tables.find((one) => tableId(one) === id);
  if (table === undefined) throw new Error("a plan holds an index on a table that it does not list");
  return table;
};

/**
 * What is left to do of a plan of which an earlier run carried out a part, or all.
 * @param standing deployments whose index stands; those of the plan's indexes do not count as a change of its tables
 * @throws IndexPilotError `plan_outdated`
 */
export const remainderOf = (plan: ChangePlan, catalog: Catalog, standing: readonly Deployment[]): ChangePlan => {
  const wanted = new Set(plan.create.map(({ definition }) => definitionId(definition)));
  const done = standing.flatMap(({ intended, indexOid }) => {
    const id = intended === null ? null : definitionId(intended);
    return id !== null && wanted.has(id) ? [{ id, indexOid }] : [];
  });
  const oids = new Set(done.map(({ indexOid }) => indexOid));
  const ids = new Set(done.map(({ id }) => id));
  requireUnmoved(plan, {
    ...catalog,
    tables: catalog.tables.map((table) => ({ ...table, indexes: table.indexes.filter(({ oid }) => !oids.has(oid)) })),
  });
  return { ...plan, create: plan.create.filter(({ definition }) => !ids.has(definitionId(definition))) };
};

/** Makes sure that the database is the one the plan was made for, and its tables as they were then. */
const requireUnmoved = (plan: ChangePlan, catalog: Catalog): void => {
  const { server } = catalog;
  if (server.systemIdentifier !== plan.target.systemIdentifier || server.databaseOid !== plan.target.databaseOid) {
    throw failure("plan_outdated", {
      change: `it was made for database ${plan.target.database} of another server or copy`,
    });
  }
  for (const planned of plan.tables) {
    const table = catalog.tables.find((one) => one.oid === planned.oid);
    if (table === undefined || tableId(table) !== tableId(planned)) {
      throw failure("plan_outdated", { change: `table ${quoteName(planned)} was dropped, renamed or made anew` });
    }
    if (structureOf(table) !== planned.structure) {
      throw failure("plan_outdated", { change: `the columns or indexes of table ${quoteName(planned)} have changed` });
    }
  }
};
