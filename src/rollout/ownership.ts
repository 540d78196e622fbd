import type { Deployment } from "../domain/index.ts";
import type { Store } from "../store/index.ts";
import type { RolloutContext } from "./context.ts";
import { ownershipComment } from "./names.ts";
import type { StandingIndex } from "./standing.ts";
import { readNamesake } from "./statements.ts";
import { advance } from "./transitions.ts";
import { isAsIntended } from "./wanted.ts";

const existing: ReadonlySet<Deployment["state"]> = new Set(["verifying", "promoting", "settled", "rolling_back"]);

/**
 * Deployments whose finished index has this name, as a person would type it (`name` or `schema.name`, unquoted). Usually one; several when two schemas use
 * the name. From the store alone: whether the index in the catalogue is still ours is proved by {@link dropOurs}.
 */
export const findOurs = async (store: Store, name: string): Promise<readonly Deployment[]> => {
  const present = (found: readonly Deployment[]): readonly Deployment[] =>
    found.filter((deployment) => existing.has(deployment.state));
  const plain = present(await store.deployments.findByIndexName(name));
  const dot = name.indexOf(".");
  if (plain.length > 0 || dot === -1) return plain;
  const schema = name.slice(0, dot);
  const inSchema = present(await store.deployments.findByIndexName(name.slice(dot + 1)));
  return inSchema.filter((deployment) => deployment.table.schema === schema);
};

/** The deployment that a standing index belongs to: the store says so by its OID, and it carries our comment. Null: it is not ours. */
export const ownerOf = async (
  store: Store,
  { oid, comment }: Pick<StandingIndex, "oid" | "comment">,
): Promise<Deployment | null> =>
  (await store.deployments.list({ states: ["verifying", "settled"] })).find(
    ({ id, indexOid }) => indexOid === oid && comment === ownershipComment(id),
  ) ?? null;

/**
 * Finds an index on trial again which somebody else rebuilt with REINDEX CONCURRENTLY, so that it has another OID. No copy can be taken for it: its predicate holds the number of
 * its gate, and no second index has its name.
 * @returns the deployment with the OID of today; null where there is no such index
 */
export const findRebuilt = async (context: RolloutContext, deployment: Deployment): Promise<Deployment | null> => {
  const { build, actor } = context;
  if (deployment.state !== "verifying" || deployment.intended?.gate === undefined) return null;
  const index = await readNamesake(build, deployment);
  if (index === null || !index.usable || index.comment !== ownershipComment(deployment.id)) return null;
  if (!(await isAsIntended(build, deployment, index))) return null;
  return advance(context, deployment, "reindex", { actor, detail: { by: "others" }, patch: { indexOid: index.oid } });
};
