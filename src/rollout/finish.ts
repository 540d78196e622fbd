import type { Deployment } from "../domain/index.ts";
import { renderIndexComment, renderRenameIndex, SqlState, sqlStateOf } from "../postgres/index.ts";
import type { RolloutContext } from "./context.ts";
import { ownershipComment, readableName } from "./names.ts";
import { type CatalogIndex, expectedDefinition, nameTaken, readIndex, sameDefinition } from "./statements.ts";
import { advance } from "./transitions.ts";

export type Finished =
  | { readonly kind: "finished"; readonly deployment: Deployment }
  /** Somebody holds a lock on the index; it is valid, and the next start finishes it. */
  | { readonly kind: "postponed"; readonly deployment: Deployment }
  /** Another process took the deployment over; `deployment` is what it made of it. */
  | { readonly kind: "superseded"; readonly deployment: Deployment | null }
  | { readonly kind: "vanished"; readonly deployment: Deployment };

/** A rename waits this long at most, each time; others that queue behind it wait no longer either. */
const RENAME_LOCK_TIMEOUT = "200ms";
const RENAME_ATTEMPTS = 40;
const RENAME_PAUSE_MS = 250;

/** Whether the catalogue's index is what was intended, apart from its name. */
export const isAsIntended = async (
  { build }: Pick<RolloutContext, "build">,
  deployment: Deployment,
  index: CatalogIndex,
): Promise<boolean> =>
  sameDefinition(index.definition, await expectedDefinition(build, deployment.intended, index.name));

const freeName = async ({ build }: RolloutContext, deployment: Deployment, index: CatalogIndex): Promise<string> => {
  for (let attempt = 0; ; attempt += 1) {
    const name = readableName(deployment.intended, attempt);
    if (name === index.name || !(await nameTaken(build, { schema: index.schema, name }))) return name;
  }
};

type Renamed = "renamed" | "name_taken" | "locked" | "vanished";

const renameOutcomes: ReadonlyMap<string, Renamed> = new Map([
  [SqlState.duplicateTable, "name_taken"],
  [SqlState.lockNotAvailable, "locked"],
  [SqlState.deadlockDetected, "locked"],
  [SqlState.undefinedTable, "vanished"],
  [SqlState.undefinedObject, "vanished"],
]);

/** Locks: SHARE UPDATE EXCLUSIVE on the index alone, for the length of two catalogue updates. Needs ownership, and CREATE on the schema. */
const rename = async (
  { build }: RolloutContext,
  index: CatalogIndex,
  name: string,
  comment: string,
): Promise<Renamed> => {
  const renamed = { schema: index.schema, name };
  try {
    await build.query("begin read write");
    await build.query(`set local lock_timeout = '${RENAME_LOCK_TIMEOUT}'`);
    if (index.name !== name) await build.query(renderRenameIndex(index, name));
    await build.query(renderIndexComment(renamed, comment));
    await build.query("commit");
    return "renamed";
  } catch (error) {
    await build.query("rollback").catch(() => undefined);
    const outcome = renameOutcomes.get(sqlStateOf(error) ?? "");
    if (outcome === undefined) throw error;
    return outcome;
  }
};

/**
 * Makes a valid index known: records its OID, size and final name, renames it, comments it, and moves the deployment to `verifying`.
 * The final name is committed before the rename, so that after a crash either name is recognised. Idempotent.
 */
export const finish = async (
  context: RolloutContext,
  building: Deployment,
  found: CatalogIndex,
  event: "build" | "adopt",
  buildMs: number | null,
): Promise<Finished> => {
  const { build, clock, actor, store } = context;
  let deployment = building;
  let index = found;
  for (let attempt = 0; attempt < RENAME_ATTEMPTS; attempt += 1) {
    const indexName = await freeName(context, deployment, index);
    const checked = await advance(context, deployment, "check", {
      actor,
      detail: { indexOid: index.oid, sizeBytes: index.sizeBytes, indexName },
      patch: { indexOid: index.oid, sizeBytes: index.sizeBytes, indexName, ...(buildMs === null ? {} : { buildMs }) },
    });
    if (checked === null) return { kind: "superseded", deployment: await store.deployments.get(deployment.id) };
    deployment = checked;
    const result = await rename(context, index, indexName, ownershipComment(deployment.id));
    if (result === "vanished") return { kind: "vanished", deployment };
    if (result === "renamed") {
      const named = await readIndex(build, deployment);
      if (named === null) return { kind: "vanished", deployment };
      const done = await advance(context, deployment, event, {
        actor,
        detail: { indexName, indexOid: index.oid, sizeBytes: index.sizeBytes, buildMs },
        patch: { definition: named.definition, backend: null },
      });
      if (done === null) return { kind: "superseded", deployment: await store.deployments.get(deployment.id) };
      return { kind: "finished", deployment: done };
    }
    if (result === "locked") await clock.sleep(RENAME_PAUSE_MS);
    const again = await readIndex(build, deployment);
    if (again === null) return { kind: "vanished", deployment };
    index = again;
  }
  const postponed = await advance(context, deployment, "postpone", { actor, detail: { because: "rename_locked" } });
  return { kind: "postponed", deployment: postponed ?? deployment };
};
