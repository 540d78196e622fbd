import type { IndexMethod, IndexVersion } from "../domain/index.ts";
import type { Session } from "../postgres/index.ts";
import { readRows } from "../rollout/index.ts";
import type { Store } from "../store/index.ts";
import { roughBuildMs } from "../upkeep/index.ts";

/** Milliseconds that building an index again is expected to take: by the last build of it that was timed, and its size; else by its method and the table's rows. */
export const estimateBuildMs = async (
  session: Session,
  store: Store | null,
  index: Pick<IndexVersion, "definition" | "sizeBytes"> & { readonly tableOid: number; readonly name: string },
): Promise<number> => {
  const { definition, sizeBytes, tableOid, name } = index;
  const earlier = (await store?.deployments.findByIndexName(name)) ?? [];
  const timed = earlier.findLast(
    (one) => one.tableOid === tableOid && (one.buildMs ?? 0) > 0 && (one.sizeBytes ?? 0) > 0,
  );
  if (timed !== undefined && sizeBytes > 0) return (timed.buildMs ?? 0) * (sizeBytes / (timed.sizeBytes ?? sizeBytes));
  return roughBuildMs(methodOf(definition), (await readRows(session, tableOid)) ?? 0);
};

const methods: ReadonlySet<string> = new Set(["btree", "hash", "gin", "gist", "spgist", "brin"]);
const isKnown = (method: string): method is IndexMethod => methods.has(method);

/** Of methods that extensions bring nothing is known: they are taken for the common one. */
const methodOf = (definition: string): IndexMethod => {
  const [, method = ""] = / USING (\w+) /.exec(definition) ?? [];
  return isKnown(method) ? method : "btree";
};
