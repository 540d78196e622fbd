import type { BuildOptions, BuildOutcome } from "./build.ts";
import { createIndex } from "./create.ts";
import { beginParts, isInParts } from "./partitioned.ts";
import { reindex } from "./reindex.ts";
import { replaceIndex } from "./replace.ts";

/** Carries out an approved deployment that builds, whatever its kind; on a partitioned table partition by partition. @throws IndexPilotError `connection_lost` */
export const buildIndex = async (options: BuildOptions): Promise<BuildOutcome> => {
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
