import type { Calibration, ChosenIndex, DeclinedCandidate, IndexDefinition, ProposedDrop } from "../domain/index.ts";
import { type PlanStep, stepText } from "../plan/index.ts";
import { renderCreateIndex } from "../postgres/index.ts";
import { type Advice, confidenceOf, doubtsOf, queryName, sizeRangeOf, statementById } from "./advice.ts";
import type { Explicandum } from "./explained.ts";
import { dropReportOf, planPairsOf, reportOf } from "./index-report.ts";
import { minorPartOf } from "./minor.ts";

const sql = (definition: IndexDefinition): string => renderCreateIndex(definition, null, { concurrently: false });

const tableText = ({ table }: IndexDefinition): string => `${table.schema}.${table.name}`;

/** The same advice as one JSON document: what `advise --json` prints and other surfaces will show. Two documents of one advice are equal. */
export const adviceDocument = (advice: Advice) => {
  const { configuration, workload, catalog, upkeep } = advice;
  const costs = new Map(configuration.statements.map((one) => [one.statementId, one]));
  const calibrations = [...advice.calibrations.values()];
  const count = (confidence: Calibration["confidence"]): number =>
    calibrations.filter((calibration) => calibration.confidence === confidence).length;
  return {
    server: {
      host: catalog.server.host,
      port: catalog.server.port,
      database: catalog.server.database,
      versionNum: catalog.server.versionNum,
      node: catalog.server.node,
    },
    workload: {
      source: workload.source,
      observedFrom: workload.observedFrom?.toISOString() ?? null,
      observedTo: workload.observedTo?.toISOString() ?? null,
      statements: workload.statements.length + (workload.minor?.length ?? 0),
      minor: minorPartOf(advice),
      declined: workload.declined,
    },
    whatIf: {
      planner: advice.planner,
      trusted: count("trusted"),
      low: count("low"),
      unknown: count("unknown"),
      leftOut: advice.leftOut,
      blindSpots: advice.blindSpots,
    },
    budgetBytes: advice.budgetBytes,
    /** Of every weighted cost: "milliseconds" of the observed period, or "planner cost" times calls. */
    unit: configuration.unit,
    /** What of the writes is not charged to the indexes, or null. */
    writesNotCharged: upkeep.kind === "free" ? upkeep.reason : upkeep.missing,
    create: configuration.create.map((chosen) => createDocument(advice, chosen)),
    drop: configuration.drop.map((drop) => dropDocument(advice, drop)),
    declined: configuration.declined.map((declined) => declinedDocument(advice, declined)),
    queries: workload.statements.map(({ id }) => queryDocument(advice, id, costs.get(id))),
    totals: configuration.totals,
    /** False when a limit of time or calls ended the search. */
    complete: configuration.complete,
  };
};

/** One thing of the advice as a document: the index or query, what it is bound up with, and what else was considered. */
export const explicandumDocument = (advice: Advice, one: Explicandum) => {
  const costs = new Map(advice.configuration.statements.map((cost) => [cost.statementId, cost]));
  const queries = (ids: readonly string[]) => ids.map((id) => queryDocument(advice, id, costs.get(id)));
  switch (one.kind) {
    case "index":
      return {
        kind: one.kind,
        number: one.number,
        index: createDocument(advice, one.chosen),
        queries: queries(one.chosen.statementIds),
        considered: one.others.map((other) => declinedDocument(advice, other)),
      };
    case "declined":
      return {
        kind: one.kind,
        index: declinedDocument(advice, one.declined),
        queries: queries(one.declined.statementIds),
      };
    case "query":
      return {
        kind: one.kind,
        query: queries([one.statement.id])[0],
        indexes: one.chosen.map((chosen) => createDocument(advice, chosen)),
        considered: one.others.map((other) => declinedDocument(advice, other)),
      };
  }
};

const createDocument = (advice: Advice, chosen: ChosenIndex) => {
  const { index, alternative } = chosen;
  const confidence = confidenceOf(advice, chosen);
  const { saving, share, gains, buildMs, writes } = reportOf(advice, chosen);
  return {
    definition: sql(index.definition),
    table: tableText(index.definition),
    columns: index.definition.keys.map((key) => key.column),
    include: index.definition.include,
    queries: chosen.statementIds.map((id) => queryName(advice, id)),
    costBefore: chosen.costBefore,
    costAfter: chosen.costAfter,
    /** What it saves beside the other indexes, and that as a share of the whole workload. */
    saving,
    share,
    /** The same by query, as shares of its saving. */
    gains: gains.map(({ query, saving: own, share: part }) => ({ query, saving: own, share: part })),
    sizeBytes: index.estimatedBytes,
    sizeRange: sizeRangeOf(index),
    buildMs,
    obstacle: advice.obstacles.get(index.id) ?? null,
    // Of the observed period, as all costs are; per day they would differ from minute to minute.
    upkeep:
      writes === null
        ? null
        : {
            ms: writes.ms,
            walBytes: writes.walBytes,
            entries: writes.entries,
            lostHotUpdates: writes.lostHotUpdates,
          },
    confidence: confidence.level,
    confidenceReason: confidence.reason,
    doubts: doubtsOf(advice, chosen).map(({ level, code, reason, statementId }) => ({
      level,
      code,
      reason,
      query: statementId === null ? null : queryName(advice, statementId),
    })),
    /** What would serve best in its place; `worseBy` in the unit above, over the whole workload. */
    alternative:
      alternative === undefined || alternative === null
        ? null
        : {
            definition: sql(alternative.definition),
            sizeBytes: alternative.estimatedBytes,
            worseBy: alternative.worseBy,
          },
  };
};

const dropDocument = (advice: Advice, drop: ProposedDrop) => {
  const report = dropReportOf(advice, drop);
  return {
    name: drop.index.name,
    table: `${drop.table.schema}.${drop.table.name}`,
    definition: drop.index.definition,
    sizeBytes: drop.index.sizeBytes,
    code: drop.code,
    reason: drop.reason,
    owner: report.owner,
    sql: report.sql,
    remark: report.remark,
  };
};

const declinedDocument = (advice: Advice, { definition, code, reason, statementIds }: DeclinedCandidate) => ({
  definition: sql(definition),
  table: tableText(definition),
  code,
  reason,
  queries: statementIds.map((id) => queryName(advice, id)),
});

const queryDocument = (
  advice: Advice,
  id: string,
  cost: { readonly costBefore: number; readonly costAfter: number } | undefined,
) => {
  const statement = statementById(advice, id);
  const calibration = advice.calibrations.get(id);
  const lines = (steps: readonly PlanStep[]): readonly string[] => steps.map(stepText);
  return {
    label: queryName(advice, id),
    fingerprint: statement.fingerprint,
    text: advice.workload.source === "files" ? null : statement.text,
    role: statement.scope.role,
    calls: statement.calls,
    totalMs: statement.totalMs,
    costBefore: cost?.costBefore ?? null,
    costAfter: cost?.costAfter ?? null,
    confidence: calibration?.confidence ?? "unknown",
    confidenceReason: advice.failed.get(id) ?? calibration?.reason ?? null,
    /** Where an index of the advice serves it: its plans without and with them, one per text, as lines. */
    plans: planPairsOf(advice, id).map(({ share, before, after }) => ({
      share,
      before: lines(before),
      after: lines(after),
    })),
  };
};
