import { type Catalog, type Table, tableId } from "../domain/index.ts";
import type { Session } from "../postgres/index.ts";
import { SqlState } from "../postgres/index.ts";
import { ownerSteps, policySteps, roleSteps } from "./access.ts";
import { attempt, attemptInAnyOrder, type FailedStep, type Step } from "./attempt.ts";
import { PAGE_BYTES } from "../sizes/index.ts";
import { type StoredTable } from "./candidates.ts";
import { installAvailable, readAvailable } from "./database.ts";
import { answersEndPoints, type EndPoints, type EndPointsOf } from "./end-points.ts";
import { writeExistingIndex } from "./existing-index.ts";
import { makeLeaves } from "./leaves.ts";
import { moveBuffered } from "./metapages.ts";
import { importExtendedStatistics } from "./extended-statistics.ts";
import { readShadowRelations, type ShadowRelations } from "./relations.ts";
import { bodySteps, collationSteps, foundationSteps, objectSteps, standInSteps } from "./objects.ts";
import { type Available, keySteps, ordinaryIndexSteps, tableConstraintSteps, tableStep, viewSteps } from "./schema.ts";
import { importColumnStatistics, type RelationSize, writeRelationSizes } from "./statistics.ts";
import { setLength, writeVisibility } from "./storage.ts";

export interface LeftOut {
  readonly object: string;
  readonly reason: string;
}

/** Made by what came before, an extension's script as a rule. */
const duplicates = new Set<string>([
  SqlState.duplicateTable,
  SqlState.duplicateObject,
  SqlState.duplicateSchema,
  SqlState.duplicateFunction,
]);

const asLeftOut = (failed: readonly FailedStep[]): LeftOut[] =>
  failed.filter((one) => !duplicates.has(one.state)).map(({ step, reason }) => ({ object: step.object, reason }));

/**
 * Rebuilds the target's schema, without rows. Nothing has planned on a table afterwards, and nothing of the target's own code has run: functions
 * get their bodies last, by {@link finishSchema}.
 */
export const buildSchema = async (session: Session, catalog: Catalog, password: string): Promise<LeftOut[]> => {
  const leftOut = asLeftOut(await attempt(session, roleSteps(catalog, password)));
  const foundation = await attempt(session, foundationSteps(catalog));
  const withoutTypes = new Set(
    catalog.extensions.filter((one) => one.bringsTypes === false).map((one) => `extension ${one.name}`),
  );
  leftOut.push(...asLeftOut(foundation.filter(({ step }) => !withoutTypes.has(step.object))));
  for (const { step } of await attemptInAnyOrder(session, collationSteps(catalog))) {
    leftOut.push({ object: step.object, reason: "this machine does not have it, so its texts sort differently" });
  }
  leftOut.push(...(await standIns(session, catalog)));
  const objects = await attemptInAnyOrder(session, objectSteps(catalog));
  const { failed, leftOut: ofTables } = await buildTables(
    session,
    catalog,
    objects.map((one) => one.step),
  );
  leftOut.push(...asLeftOut(failed), ...ofTables);
  for (const steps of [tableConstraintSteps, keySteps, ordinaryIndexSteps]) {
    leftOut.push(...asLeftOut(await attempt(session, steps(catalog))));
  }
  leftOut.push(...asLeftOut(await attemptInAnyOrder(session, viewSteps(catalog))));
  return [
    ...leftOut,
    ...(catalog.foreignTables ?? []).map((one) => ({
      object: `foreign table ${one.schema}.${one.name}`,
      reason: "its own server plans it, not this one",
    })),
  ];
};

/** Roles' rights and functions' bodies: from here on, planning can run the target's code. */
export const finishSchema = async (session: Session, catalog: Catalog): Promise<LeftOut[]> => [
  ...asLeftOut(await attemptInAnyOrder(session, policySteps(catalog))),
  ...asLeftOut(await attempt(session, ownerSteps(catalog))),
  ...asLeftOut(await attemptInAnyOrder(session, bodySteps(catalog))),
  ...(catalog.routines ?? [])
    .filter((routine) => routine.body === null && routine.volatility !== "volatile")
    .map(({ name, language }) => ({
      object: `function ${name}`,
      reason: `written in ${language}, which the shadow cannot run: planning a call with constant arguments fails`,
    })),
];

const standIns = async (session: Session, catalog: Catalog): Promise<LeftOut[]> => {
  const steps = standInSteps(catalog);
  const failed = await attempt(session, steps);
  const without = new Set(failed.map(({ step }) => step));
  return [
    ...asLeftOut(failed),
    ...steps
      .filter((step) => !without.has(step))
      .map(({ object }) => ({
        object,
        reason: "a stand-in: its table plans, its operators and indexes may be missing",
      })),
  ];
};

/** Tables, and the objects that had to wait for one. */
const buildTables = async (
  session: Session,
  catalog: Catalog,
  waiting: readonly Step[],
): Promise<{ readonly failed: readonly FailedStep[]; readonly leftOut: readonly LeftOut[] }> => {
  await installAvailable(session);
  const available = await readAvailable(session, catalog);
  const whole = new Map(catalog.tables.map((table) => [tableStep(table, available, "whole"), table]));
  const first = await attemptInAnyOrder(session, [...whole.keys(), ...waiting]);
  const bare = first.flatMap(({ step, state }) => {
    const table = whole.get(step);
    return table === undefined || duplicates.has(state) ? [] : [table];
  });
  const rest = first.filter(({ step }) => !whole.has(step));
  const withTypes = await readAvailable(session, catalog);
  const lacking = bare.flatMap((table) => missingFrom(table, withTypes));
  if (bare.length === 0) return { failed: rest, leftOut: lacking };
  const steps = bare.map((table) => tableStep(table, withTypes, "bare"));
  const failed = await attemptInAnyOrder(session, [...steps, ...rest.map((one) => one.step)]);
  return { failed, leftOut: lacking };
};

const missingFrom = (table: Table, available: Available): LeftOut[] => {
  const name = `${table.schema}.${table.name}`;
  const columns = table.columns
    .filter((column) => !available.types.has(column.type))
    .map((column) => ({
      object: `column ${name}.${column.name}`,
      reason: `its type ${column.type} does not exist on the embedded server`,
    }));
  return columns.length > 0
    ? columns
    : [
        {
          object: `details of table ${name}`,
          reason: "the embedded server refused its storage parameters, identity or generated columns",
        },
      ];
};

/** Gives the empty tables and indexes the statistics, sizes and heights of the target's. */
export const importSizesAndStatistics = async (
  session: Session,
  catalog: Catalog,
  dataDirectory: string,
  endPoints: EndPointsOf,
): Promise<{ readonly relations: ShadowRelations; readonly leftOut: LeftOut[] }> => {
  const failed = [
    ...(await importColumnStatistics(session, catalog)),
    ...(await importExtendedStatistics(session, catalog)),
  ];
  await moveBuffered(session);
  const relations = await readShadowRelations(session, dataDirectory);
  const leaves = await makeLeaves(session, dataDirectory, wantedLeaves(catalog, relations, endPoints));
  const sizes: RelationSize[] = [];
  const marks: IndexMarks[] = [];
  for (const table of catalog.tables) {
    const relation = relations.get(tableId(table));
    if (relation === undefined) continue;
    sizes.push({
      oid: relation.oid,
      pages: table.pages,
      tuples: table.tuples,
      allVisiblePages: table.allVisiblePages,
    });
    if (relation.file !== null) {
      setLength(relation.file, table.blocks);
      if (table.columns.some((column) => endPoints(table, column.name) !== null)) writeVisibility(relation.file);
    }
    for (const index of table.indexes) {
      const built = relations.get(tableId(index));
      if (built === undefined) continue;
      sizes.push({ oid: built.oid, pages: index.pages, tuples: index.tuples, allVisiblePages: 0 });
      const { valid, clustered, replicaIdentity } = index;
      if (!valid || clustered || replicaIdentity) marks.push({ oid: built.oid, valid, clustered, replicaIdentity });
      if (built.file === null) continue;
      const pages = index.sizeBytes / PAGE_BYTES;
      writeExistingIndex(built.file, table, index, pages, leaves.get(built.oid) ?? null);
    }
  }
  await writeRelationSizes(session, sizes);
  await markIndexes(session, marks);
  return { relations, leftOut: [...asLeftOut(failed), ...lostStatistics(catalog)] };
};

const lostStatistics = (catalog: Catalog): LeftOut[] =>
  catalog.extendedStatistics
    .filter((object) => (object.data ?? []).some((data) => data.ownTypesLeftOut === true))
    .map(({ schema, name }) => ({
      object: `most common values of statistics ${schema}.${name}`,
      reason: "they hold values of user-defined types, which mean nothing on another server",
    }));

interface IndexMarks {
  readonly oid: number;
  readonly valid: boolean;
  readonly clustered: boolean;
  readonly replicaIdentity: boolean;
}

const markIndexes = async (session: Session, marks: readonly IndexMarks[]): Promise<void> => {
  await session.query(
    `update pg_index x
        set indisvalid = g.valid, indisclustered = g.clustered, indisreplident = g."replicaIdentity"
       from jsonb_to_recordset($1) as g (oid oid, valid boolean, clustered boolean, "replicaIdentity" boolean)
      where x.indexrelid = g.oid`,
    [JSON.stringify(marks)],
  );
};

const wantedLeaves = (
  catalog: Catalog,
  relations: ShadowRelations,
  endPoints: EndPointsOf,
): { oid: number; ends: EndPoints }[] =>
  catalog.tables.flatMap((table) =>
    table.indexes.filter(answersEndPoints).flatMap((index) => {
      const relation = relations.get(tableId(index));
      const leading = index.keys[0] ?? null;
      const ends = leading === null ? null : endPoints(table, leading);
      return relation === undefined || ends === null ? [] : [{ oid: relation.oid, ends }];
    }),
  );

/** A table and its partitions at every level, those with storage. */
export const storedTables = (catalog: Catalog, table: Table, relations: ShadowRelations): StoredTable[] => {
  if (table.kind === "partitioned") {
    return catalog.tables
      .filter((child) => child.partitionBound !== null && child.parents.some((one) => tableId(one) === tableId(table)))
      .flatMap((child) => storedTables(catalog, child, relations));
  }
  const relation = relations.get(tableId(table));
  return relation === undefined || relation.file === null
    ? []
    : [{ table, relation: { ...relation, file: relation.file } }];
};
