import type { Catalog, ExtendedStatisticsData } from "../domain/index.ts";
import { quoteLiteral, quoteName, type Session } from "../postgres/index.ts";
import { attempt, type FailedStep, type Step } from "./attempt.ts";
import { OWN_SCHEMA } from "./objects.ts";
import { importRows } from "./statistics.ts";

const bytes = (hexadecimal: string | null, type: string): string =>
  hexadecimal === null ? "null" : `decode('${hexadecimal}', 'hex')::${type}`;

const dataValues = (data: ExtendedStatisticsData, versionNum: number): string =>
  [
    ...(versionNum >= 150_000 ? [String(data.inherited)] : []),
    bytes(data.distinct, "pg_ndistinct"),
    bytes(data.dependencies, "pg_dependencies"),
    bytes(data.mostCommonValues, "pg_mcv_list"),
    "null",
  ].join(", ");

// The types refuse input, so their bytes go in by a cast that leaves them as they are, as long as it takes. 14 has made an empty row
// with each object.
const opaque = ["pg_ndistinct", "pg_dependencies", "pg_mcv_list"];
const prepareExtended = `
${opaque.map((type) => `create cast (bytea as ${type}) without function;`).join("\n")}
delete from pg_statistic_ext_data`;

const finishExtended = opaque.map((type) => `drop cast (bytea as ${type})`).join(";");

/** What ANALYZE found for CREATE STATISTICS objects; answers those that could not be written. */
export const importExtendedStatistics = async (session: Session, catalog: Catalog): Promise<FailedStep[]> => {
  const steps = catalog.extendedStatistics.flatMap((object): Step[] =>
    (object.data ?? []).map((data) => ({
      object: `data of statistics ${object.schema}.${object.name}`,
      sql:
        `insert into pg_statistic_ext_data select s.oid, ${dataValues(data, catalog.server.versionNum)}` +
        ` from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace` +
        ` where n.nspname = ${quoteLiteral(object.schema)} and s.stxname = ${quoteLiteral(object.name)}`,
    })),
  );
  if (steps.length === 0) return [];
  await session.script(prepareExtended);
  const failed = await attempt(session, steps);
  await session.script(finishExtended);
  return [...failed, ...(await importExpressionStatistics(session, catalog))];
};

// pg_statistic rows belong to a relation: each object's expressions become the columns of a scratch table, whose rows then go into the object.
const importExpressionStatistics = async (session: Session, catalog: Catalog): Promise<FailedStep[]> => {
  const failed: FailedStep[] = [];
  for (const object of catalog.extendedStatistics) {
    const count = Math.max(0, ...(object.data ?? []).map((data) => data.expressions?.length ?? 0));
    if (count === 0) continue;
    const names = Array.from({ length: count }, (_, i) => `e${String(i + 1)}`);
    const scratch = { schema: OWN_SCHEMA, name: "expressions" };
    const id = `(select s.oid from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace where n.nspname = ${quoteLiteral(object.schema)} and s.stxname = ${quoteLiteral(object.name)})`;
    const step = (sql: string): Step => ({ object: `data of statistics ${object.schema}.${object.name}`, sql });
    failed.push(
      ...(await attempt(session, [
        step(`
          do $do$ begin
            execute (select format('create table ${quoteName(scratch)} (${names.join(", ")}) as select %s from only %s with no data',
                                   array_to_string(pg_get_statisticsobjdef_expressions(oid), ', '), stxrelid::regclass)
                       from pg_statistic_ext where oid = ${id});
          end $do$`),
      ])),
    );
    const rows = (object.data ?? []).flatMap((data) =>
      (data.expressions ?? []).flatMap((statistics, i) =>
        statistics === null ? [] : [{ relation: scratch, column: `e${String(i + 1)}`, statistics }],
      ),
    );
    failed.push(...(await importRows(session, rows)));
    const inherits = catalog.server.versionNum >= 150_000;
    failed.push(
      ...(await attempt(session, [
        step(`
          update pg_statistic_ext_data d
             set stxdexpr = (select array_agg(x order by a.attnum)
                               from pg_attribute a
                               left join pg_statistic x on x.starelid = a.attrelid and x.staattnum = a.attnum
                                                       and x.stainherit = ${inherits ? "d.stxdinherit" : "false"}
                              where a.attrelid = '${quoteName(scratch)}'::regclass and a.attnum > 0)
           where d.stxoid = ${id};
          drop table ${quoteName(scratch)}`),
      ])),
    );
  }
  return failed;
};
