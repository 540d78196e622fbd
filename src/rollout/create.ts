import { type BuildOptions, type BuildOutcome, runBuild } from "./build.ts";

/**
 * Builds an approved deployment's index with `create index concurrently`.
 *
 * Locks: SHARE UPDATE EXCLUSIVE on the table; reads and writes go on. Waits for transactions older than itself. Needs the table's owner role
 * and CREATE on its schema.
 * @throws IndexPilotError `connection_lost`: the build may go on in the server; `reconcile` takes it up at the next start
 */
export const createIndex = (options: BuildOptions): Promise<BuildOutcome> => {
  if (options.deployment.replaces !== null) throw new Error("a deployment that replaces an index does not create one");
  return runBuild(options);
};
