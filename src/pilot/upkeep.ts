import type { Catalog, TableAccess, WhatIfPlanner, Workload } from "../domain/index.ts";
import { openSession } from "../postgres/index.ts";
import type { ShadowPlanner } from "../shadow/index.ts";
import { createUpkeep, measureWriteCosts, referenceWriteCosts, type UpkeepModel } from "../upkeep/index.ts";
import { withSession } from "./target.ts";

/**
 * What writes pay for each index. `measure` takes the cost of an entry from a measurement on the shadow's server instead of the table of reference:
 * it differs from time to time, and the advice may with it.
 */
export const openUpkeep = async (
  planner: WhatIfPlanner,
  subject: {
    readonly catalog: Catalog;
    readonly workload: Workload;
    readonly accesses: ReadonlyMap<string, readonly TableAccess[]>;
  },
  measure: boolean,
): Promise<UpkeepModel> => {
  const costs =
    measure && isShadow(planner) && planner.connections === "many"
      ? await withSession(openSession(planner.connection(), "build"), measureWriteCosts)
      : referenceWriteCosts;
  return createUpkeep({ ...subject, costs });
};

const isShadow = (planner: WhatIfPlanner): planner is ShadowPlanner => planner.name === "shadow";
