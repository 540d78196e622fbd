import type { Deployment } from "../domain/index.ts";
import {
  readKeyConstraint,
  renderAddConstraint,
  renderConstraintComment,
  renderDropConstraint,
  renderIndexComment,
  renderRenameIndex,
  type Session,
  SqlState,
} from "../postgres/index.ts";
import { briefly } from "./briefly.ts";
import { lockBudgetOf, type RolloutContext } from "./context.ts";
import { ownershipComment, retiredName } from "./names.ts";
import { type CatalogIndex, readIndexByOid } from "./statements.ts";

/** What became of one attempt to give a built index its name. In all but `placed` nothing was done. */
export type Placed =
  | { readonly kind: "placed" | "name_taken" | "locked" | "vanished" }
  /** The index to be replaced is not what it was when that was decided. */
  | { readonly kind: "changed" }
  /** The server says no, and would say so again. */
  | { readonly kind: "rejected"; readonly sqlState: string };

const answers: ReadonlyMap<string, "name_taken" | "locked" | "vanished"> = new Map([
  [SqlState.duplicateTable, "name_taken"],
  [SqlState.duplicateObject, "name_taken"],
  [SqlState.lockNotAvailable, "locked"],
  [SqlState.queryCanceled, "locked"],
  [SqlState.deadlockDetected, "locked"],
  [SqlState.undefinedTable, "vanished"],
  [SqlState.undefinedObject, "vanished"],
]);

/** Whether what stands once the deployment has ended is an index of ours. What takes the place of somebody else's is theirs. */
export const becomesOurs = ({ replaces }: Deployment): boolean => replaces === null || replaces.deploymentId !== null;

/** What moves a built index to its name, in one transaction; what had the name moves out of the way, or goes with its constraint. Pure. */
const placeStatements = (deployment: Deployment, index: CatalogIndex, name: string): readonly string[] => {
  const { id, replaces, recorded, table } = deployment;
  const { schema } = index;
  const key = recorded === null || recorded.constraint === null ? null : readKeyConstraint(recorded.constraint);
  const comment = becomesOurs(deployment) ? ownershipComment(id) : (replaces?.comment ?? null);
  const constraintComment = replaces?.constraintComment ?? null;
  return [
    ...(replaces === null
      ? []
      : [
          replaces.constraint === null
            ? renderRenameIndex({ schema, name: replaces.name }, retiredName(id))
            : renderDropConstraint(table, replaces.name),
        ]),
    ...(index.name === name
      ? []
      : [key === null ? renderRenameIndex(index, name) : renderAddConstraint(table, name, key, index.name)]),
    ...(comment === null ? [] : [renderIndexComment({ schema, name }, comment)]),
    ...(key === null || constraintComment === null ? [] : [renderConstraintComment(table, name, constraintComment)]),
  ];
};

/** Whether a primary key can be made of an index without reading the table, which nobody could use meanwhile. */
const hasNullableKey = async (session: Session, oid: number): Promise<boolean> => {
  const rows = await session.query(
    `select from pg_catalog.pg_index i
       join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])
      where i.indexrelid = $1 and not a.attnotnull`,
    [oid],
  );
  return rows.length > 0;
};

/**
 * Gives a built index its name, its comment and its constraint, and takes the name from the index it replaces: all or nothing, in one short transaction.
 *
 * Locks: SHARE UPDATE EXCLUSIVE on the indexes, for two to four catalogue updates; where a constraint comes or goes, ACCESS EXCLUSIVE on the table: it waits
 * half the lock budget for that, so that who queues behind it waits no longer than all of it. Needs ownership, and CREATE on the schema.
 */
export const place = async (
  context: RolloutContext,
  deployment: Deployment,
  index: CatalogIndex,
  name: string,
): Promise<Placed> => {
  const { build } = context;
  const { replaces, recorded } = deployment;
  if (replaces !== null) {
    if (index.name === name) return { kind: "placed" };
    const current = await readIndexByOid(build, deployment, replaces.oid);
    if (current?.name !== replaces.name || current.definition !== replaces.definition) return { kind: "changed" };
  }
  if (recorded?.constraint?.startsWith("PRIMARY KEY") === true && (await hasNullableKey(build, index.oid))) {
    return { kind: "rejected", sqlState: SqlState.notNullViolation };
  }
  const isExclusive = (replaces?.constraint ?? null) !== null || (recorded?.constraint ?? null) !== null;
  const limitMs = lockBudgetOf(context) / (isExclusive ? 2 : 1);
  // Names may have moved between the look and the lock: what counts is the OIDs.
  const check = async (): Promise<boolean> => {
    const placed = await readIndexByOid(build, deployment, index.oid);
    const old = replaces === null ? null : await readIndexByOid(build, deployment, replaces.oid);
    return placed?.name === name && (old === null || old.name === retiredName(deployment.id));
  };
  const { kind, ...ended } = await briefly(build, placeStatements(deployment, index, name), limitMs, check);
  if (kind === "done") return { kind: "placed" };
  const sqlState = "sqlState" in ended ? ended.sqlState : null;
  if (sqlState === null) return { kind: "changed" };
  const answer = answers.get(sqlState);
  if (answer === undefined) return { kind: "rejected", sqlState };
  return { kind: replaces !== null && answer !== "locked" ? "changed" : answer };
};
