import type { BuildOptions, BuildOutcome } from "./build.ts";
import { createIndex } from "./create.ts";
import { beginParts, isInParts } from "./partitioned.ts";
import { reindex } from "./reindex.ts";
import { replaceIndex } from "./replace.ts";
import { settleWanted } from "./wanted.ts";

/** Carries out an approved deployment that builds, whatever its kind; on a partitioned table partition by partition. @throws IndexPilotError `connection_lost` */
export const buildIndex = async (options: BuildOptions): Promise<BuildOutcome> => {
  const outcome = await buildByKind(options);
  return outcome.kind === "built"
    ? { ...outcome, deployment: await settleWanted(options, outcome.deployment) }
    : outcome;
};

const buildByKind = async (options: BuildOptions): Promise<BuildOutcome> => {
  switch (options.deployment.kind) {
    case "create":
      return (await isInParts(options.build, options.deployment)) ? beginParts(options) : createIndex(options);
    case "replace":
      return replaceIndex(options);
    case "reindex":
      return reindex(options);
    case "drop":
      throw new Error("a drop builds nothing");
  }
};
