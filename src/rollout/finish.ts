import { analyzeExpressions } from "./analyze.ts";
import type { Deployment } from "../domain/index.ts";
import type { RolloutContext } from "./context.ts";
import { readableName } from "./names.ts";
import { place } from "./place.ts";
import { type CatalogIndex, nameTaken, readIndex } from "./statements.ts";
import { advance } from "./transitions.ts";

export type Finished =
  /** It has its name. The deployment is `verifying`, or `retiring` where it replaced another index. */
  | { readonly kind: "finished"; readonly deployment: Deployment }
  /** Somebody holds a lock in the way; it is valid, and the next start finishes it. */
  | { readonly kind: "postponed"; readonly deployment: Deployment }
  /** Another process took the deployment over; `deployment` is what it made of it. */
  | { readonly kind: "superseded"; readonly deployment: Deployment | null }
  | { readonly kind: "vanished"; readonly deployment: Deployment }
  /** It cannot have its name: what it was to replace has changed (`sqlState` null), or the server refuses the constraint. */
  | { readonly kind: "rejected"; readonly deployment: Deployment; readonly sqlState: string | null };

const ATTEMPTS = 40;
const PAUSE_MS = 250;
/** So long those who need the table have it to themselves between two attempts to lock it. */
const LONGEST_PAUSE_MS = 2_000;

const nameFor = async ({ build }: RolloutContext, deployment: Deployment, index: CatalogIndex): Promise<string> => {
  // What comes from the history, or replaces another index, has its name.
  if (deployment.intended === null || deployment.replaces !== null) return deployment.indexName;
  for (let attempt = 0; ; attempt += 1) {
    const name = readableName(deployment.intended, attempt);
    if (name === index.name || !(await nameTaken(build, { schema: index.schema, name }))) return name;
  }
};

/**
 * Makes a valid index known: records its OID, size and final name, gives it its name and comment, and moves the deployment on.
 * The final name is committed before the DDL, so that after a crash either name is recognised. Idempotent.
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
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const indexName = await nameFor(context, deployment, index);
    const checked = await advance(context, deployment, "check", {
      actor,
      detail: { indexOid: index.oid, sizeBytes: index.sizeBytes, indexName },
      patch: { indexOid: index.oid, sizeBytes: index.sizeBytes, indexName, ...(buildMs === null ? {} : { buildMs }) },
    });
    if (checked === null) return { kind: "superseded", deployment: await store.deployments.get(deployment.id) };
    deployment = checked;
    const placed = await place(context, deployment, index, indexName);
    switch (placed.kind) {
      case "vanished":
        return { kind: "vanished", deployment };
      case "changed":
        return { kind: "rejected", deployment, sqlState: null };
      case "rejected":
        return { kind: "rejected", deployment, sqlState: placed.sqlState };
      case "placed": {
        const named = await readIndex(build, deployment);
        if (named === null) return { kind: "vanished", deployment };
        const analyzed = await analyzeExpressions(context, deployment.table, index.oid);
        const done = await advance(context, deployment, deployment.replaces === null ? event : "swap", {
          actor,
          detail: {
            indexName,
            indexOid: index.oid,
            sizeBytes: index.sizeBytes,
            buildMs,
            ...(analyzed === null ? {} : { analyzed }),
          },
          patch: { definition: named.definition, backend: null },
        });
        if (done === null) return { kind: "superseded", deployment: await store.deployments.get(deployment.id) };
        return { kind: "finished", deployment: done };
      }
      case "locked":
        await clock.sleep(Math.min(LONGEST_PAUSE_MS, PAUSE_MS * (1 + attempt / 4)));
        break;
      case "name_taken":
        // A recorded index has no other name to try.
        if (deployment.intended === null) return { kind: "rejected", deployment, sqlState: null };
    }
    const again = await readIndex(build, deployment);
    if (again === null) return { kind: "vanished", deployment };
    index = again;
  }
  const postponed = await advance(context, deployment, "postpone", { actor, detail: { because: "rename_locked" } });
  return { kind: "postponed", deployment: postponed ?? deployment };
};
