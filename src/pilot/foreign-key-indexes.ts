import { tableId, type TableAccess } from "../domain/index.ts";
import type { MissingForeignKeyIndex } from "../maintenance/index.ts";
import { quoteIdentifier, quoteName, type Session } from "../postgres/index.ts";
import { formatSize } from "../config/index.ts";
import { advise } from "./advise.ts";
import { readSubject, type Subject } from "./analysis.ts";
import { type ChangePlan, changePlan } from "./change-plan.ts";
import { isUnanswerable } from "./drop-inquiry.ts";
import { liveTarget, unprobed } from "./source.ts";
import { mayBeBuilt } from "./modes.ts";
import type { PilotContext } from "./target.ts";
import { workloadOfTexts, workloadOfTraffic } from "./workload.ts";

export interface DeclinedKey {
  readonly name: string;
  readonly code: string;
  readonly reason: string;
}

/**
 * What PostgreSQL asks of the referencing table for each row that is deleted from the parent (ri_triggers.c), in a form that can be planned. No text of the workload
 * shows it.
 */
const lookUpOf = ({ table, columns, parentDeletes }: MissingForeignKeyIndex): string =>
  `-- indexpilot: weight=${String(parentDeletes)}\nselect 1 from ${quoteName(table)} where ${columns
    .map((column, at) => `${quoteIdentifier(column)} = $${String(at + 1)}`)
    .join(" and ")}`;

const describe = ({ table, constraint }: MissingForeignKeyIndex): string =>
  `${quoteName(table)}, foreign key ${constraint}`;

/** What deletes from the parent is what an index would make faster, and so what can prove it. */
const comparisonOf = (
  { workload, accesses }: Subject,
  { table, parent }: MissingForeignKeyIndex,
): {
  readonly statementIds: readonly string[];
  readonly writeIds: readonly string[];
  readonly controlIds: readonly string[];
} => {
  const uses = (id: string, one: MissingForeignKeyIndex["table"]): readonly TableAccess[] =>
    (accesses.get(id) ?? []).filter((access) => tableId(access.table) === tableId(one));
  const of = (which: (id: string, verb: string) => boolean): readonly string[] =>
    workload.statements.filter(({ id, verb }) => which(id, verb)).map(({ id }) => id);
  const statementIds = of((id, verb) => verb === "delete" && uses(id, parent).length > 0);
  return {
    statementIds,
    writeIds: of(
      (id, verb) =>
        verb !== "select" && !statementIds.includes(id) && uses(id, table).some(({ written }) => written.length > 0),
    ),
    controlIds: of(
      (id) => (accesses.get(id) ?? []).length > 0 && uses(id, table).length === 0 && uses(id, parent).length === 0,
    ),
  };
};

/**
 * The indexes that foreign keys lack, as far as the planner would use them for what the server asks at each delete from the parent, and statements that delete there can
 * prove it. Reads only.
 * @returns null where there is none
 */
export const planForeignKeyIndexes = async (
  context: PilotContext,
  session: Session,
  missing: readonly MissingForeignKeyIndex[],
): Promise<{ readonly plan: ChangePlan | null; readonly declined: readonly DeclinedKey[] }> => {
  const { settings, clock, signal, emit } = context;
  const declined: DeclinedKey[] = [];
  const decline = (key: MissingForeignKeyIndex, code: string, reason: string): void => {
    declined.push({ name: describe(key), code, reason });
  };
  const wanted = missing.filter((key) => {
    if (!mayBeBuilt(key.table, settings)) decline(key, "mode", "the table's mode lets nothing be changed");
    else if (key.parentDeletes === 0)
      decline(key, "no_deletes", `no row was deleted from ${quoteName(key.parent)}: an index would serve nothing`);
    else return true;
    return false;
  });
  if (wanted.length === 0) return { plan: null, declined };
  try {
    const traffic = workloadOfTraffic(context, session, { observeMs: null, seed: settings.seed, everything: true });
    const subject = await readSubject(liveTarget(session, traffic), emit, signal);
    const provable = wanted.flatMap((key) => {
      const comparison = comparisonOf(subject, key);
      if (comparison.statementIds.length > 0) return [{ key, comparison }];
      decline(
        key,
        "not_provable",
        `no statement of the workload deletes from ${quoteName(key.parent)}, so that nothing could show what the index brings`,
      );
      return [];
    });
    if (provable.length === 0) return { plan: null, declined };
    const labelOf = (at: number): string => `key ${String(at)}`;
    const texts = provable.map(({ key }, at) => ({ path: labelOf(at), text: lookUpOf(key) }));
    const advice = await advise({
      ...settings,
      limits: settings,
      kinds: "btree",
      source: unprobed(liveTarget(session, workloadOfTexts(session, texts, settings.seed))),
      clock,
      signal,
      emit,
    });
    const plan = changePlan(advice);
    const create = provable.flatMap(({ key, comparison }, at) => {
      const lookUp = advice.workload.statements.find(({ label }) => label === labelOf(at));
      const planned = plan.create.find(({ statementIds }) => lookUp !== undefined && statementIds.includes(lookUp.id));
      if (planned !== undefined) {
        const what = `foreign key ${key.constraint}: each row deleted from ${quoteName(key.parent)}, ${String(key.parentDeletes)} so far, reads ${formatSize(key.tableBytes)}`;
        return [
          {
            ...planned,
            statementIds: comparison.statementIds,
            writeIds: comparison.writeIds,
            queries: [what],
            finding: "foreign_key" as const,
          },
        ];
      }
      const why = advice.configuration.declined.find(
        ({ statementIds }) => lookUp !== undefined && statementIds.includes(lookUp.id),
      );
      decline(key, why?.code ?? "not_used", why?.reason ?? "the planner would not use an index for it");
      return [];
    });
    const controlIds = provable
      .map(({ comparison }) => comparison.controlIds)
      .reduce((all, ids) => all.filter((id) => ids.includes(id)));
    return { plan: { ...plan, create, drop: [], controlIds }, declined };
  } catch (error) {
    if (!isUnanswerable(error)) throw error;
    for (const key of wanted) decline(key, error.code, `nobody knows who would use it: ${error.message}`);
    return { plan: null, declined };
  }
};
