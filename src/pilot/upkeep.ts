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
  if (subject.workload.source === "files") {
    return { kind: "free", reason: "statements from files bring no times, so that no write cost is charged" };
  }
  const costs =
    measure && isShadow(planner)
      ? await withSession(openSession(planner.connection(), "build"), measureWriteCosts)
      : referenceWriteCosts;
  return createUpkeep({ ...subject, costs, countersSince: null });
};

const isShadow = (planner: WhatIfPlanner): planner is ShadowPlanner => planner.name === "shadow";
