import { type Catalog, type Table, tableId } from "../domain/index.ts";
import type { Session } from "../postgres/index.ts";
import { SqlState } from "../postgres/index.ts";
import { attempt, attemptInAnyOrder, type FailedStep } from "./attempt.ts";
import { estimateBtreeHeight } from "./btree-size.ts";
import { PAGE_BYTES } from "./btree-pages.ts";
import { type StoredTable } from "./candidates.ts";
import { readAvailable } from "./database.ts";
import { answersEndPoints, type EndPoints, type EndPointsOf } from "./end-points.ts";
import { makeLeaves } from "./leaves.ts";
import { readShadowRelations, type ShadowRelations } from "./relations.ts";
import { domainSteps, foundationSteps, keySteps, ordinaryIndexSteps, tableSteps, viewSteps } from "./schema.ts";
import {
  importColumnStatistics,
  importExtendedStatistics,
  type RelationSize,
  writeRelationSizes,
} from "./statistics.ts";
import { setLength, writeTree, writeVisibility } from "./storage.ts";

export interface LeftOut {
  readonly object: string;
  readonly reason: string;
}

/** Made by what came before, an extension's script as a rule. */
const duplicates = new Set<string>([SqlState.duplicateTable, SqlState.duplicateObject, SqlState.duplicateSchema]);

const asLeftOut = (failed: readonly FailedStep[]): LeftOut[] =>
  failed.filter((one) => !duplicates.has(one.state)).map(({ step, reason }) => ({ object: step.object, reason }));

/** Rebuilds the target's schema, without rows. Nothing has planned on a table afterwards. */
export const buildSchema = async (session: Session, catalog: Catalog): Promise<LeftOut[]> => {
  const failed = await attempt(session, foundationSteps(catalog));
  failed.push(...(await attemptInAnyOrder(session, domainSteps(catalog))));
  const available = await readAvailable(session, catalog);
  failed.push(...(await attempt(session, tableSteps(catalog, available))));
  failed.push(...(await attempt(session, keySteps(catalog))));
  failed.push(...(await attempt(session, ordinaryIndexSteps(catalog))));
  failed.push(...(await attemptInAnyOrder(session, viewSteps(catalog))));
  return [...asLeftOut(failed), ...catalog.tables.flatMap((table) => differences(table, available))];
};

const differences = (table: Table, available: Awaited<ReturnType<typeof readAvailable>>): LeftOut[] => {
  const name = `${table.schema}.${table.name}`;
  const columns = table.columns.flatMap((column): LeftOut[] => {
    const object = `column ${name}.${column.name}`;
    if (!available.types.has(column.type)) {
      return [{ object, reason: `its type ${column.type} does not exist on the embedded server` }];
    }
    if (column.collation !== null && column.collation !== "default" && !available.collations.has(column.collation)) {
      return [{ object, reason: `its collation ${column.collation} does not exist on the embedded server` }];
    }
    return [];
  });
  return table.rowLevelSecurity
    ? [...columns, { object: `policies of ${name}`, reason: "row-level security is not part of the shadow's plans" }]
    : columns;
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
  const relations = await readShadowRelations(session, dataDirectory);
  const leaves = await makeLeaves(session, dataDirectory, wantedLeaves(catalog, relations, endPoints));
  const sizes: RelationSize[] = [];
  const invalid: number[] = [];
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
      if (!index.valid) invalid.push(built.oid);
      if (built.file === null) continue;
      const pages = index.sizeBytes / PAGE_BYTES;
      if (index.method !== "btree") setLength(built.file, pages);
      else writeTree(built.file, pages, estimateBtreeHeight(table, index, pages), leaves.get(built.oid) ?? null);
    }
  }
  await writeRelationSizes(session, sizes);
  await session.query("update pg_index set indisvalid = false where indexrelid = any ($1)", [invalid]);
  return { relations, leftOut: asLeftOut(failed) };
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
