import type { Catalog, ExistingIndex, Routine, Table } from "../../src/domain/index.ts";

const named = <T extends { readonly schema: string; readonly name: string }>(all: readonly T[]): T[] =>
  all.toSorted((a, b) => `${a.schema}.${a.name}`.localeCompare(`${b.schema}.${b.name}`));

const byName = <T extends { readonly name: string }>(all: readonly T[]): T[] =>
  all.toSorted((a, b) => a.name.localeCompare(b.name));

/** A function in another language keeps its head, and has a body that refuses. */
const routineOf = ({ name, header, body, volatility }: Routine): unknown => {
  const foreign = body === null || body.includes("IP002");
  return {
    name,
    volatility,
    header: foreign ? header.replace(/^ LANGUAGE \w+/m, " LANGUAGE other") : header,
    body: foreign ? null : body,
  };
};

/** A catalogue without what differs between servers: OIDs, counters of use, who runs it, and that materialised views are tables in the shadow. */
export const comparable = (catalog: Catalog): unknown => {
  const indexNames = new Map(catalog.tables.flatMap((table) => table.indexes.map((index) => [index.oid, index.name])));
  const indexOf = ({ oid: _oid, scans: _scans, parentOid, ...index }: ExistingIndex): unknown => ({
    ...index,
    parent: parentOid === null ? null : indexNames.get(parentOid),
  });
  const tableOf = ({
    oid: _oid,
    activity: _activity,
    columns,
    indexes,
    kind,
    foreignKeys,
    checks,
    ...table
  }: Table): unknown => ({
    ...table,
    kind: kind === "materialized view" ? "table" : kind,
    columns: columns.map(({ typeOid: _typeOid, ...column }) => column),
    indexes: named(indexes).map(indexOf),
    foreignKeys: byName(foreignKeys),
    checks: byName(checks ?? []),
  });
  const { server: _server, activitySince: _since, tables, views, routines, roles, objects, ...rest } = catalog;
  return {
    ...rest,
    schemas: rest.schemas.toSorted(),
    sequences: named(rest.sequences ?? []),
    extensions: byName(rest.extensions),
    enums: named(rest.enums),
    domains: named(rest.domains),
    extendedStatistics: named(rest.extendedStatistics).map((object) => ({
      ...object,
      data: object.data?.map(({ ownTypesLeftOut: _leftOut, ...data }) => data),
    })),
    tables: named(tables).map(tableOf),
    views: named(views),
    routines: byName(routines ?? []).map(routineOf),
    roles: byName(roles ?? []).filter((role) => role.name !== "indexpilot_planner"),
    objects: byName(objects ?? []),
  };
};
