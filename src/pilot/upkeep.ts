import type { Catalog, TableAccess, WhatIfPlanner, Workload } from "../domain/index.ts";
import { openSession } from "../postgres/index.ts";
import type { ShadowPlanner } from "../shadow/index.ts";
import { createUpkeep, measureWriteCosts, type UpkeepModel } from "../upkeep/index.ts";
import { withSession } from "./target.ts";

/** Measures what writes cost on the shadow's own server, once per version; without one, nothing is charged. */
export const openUpkeep = async (
  planner: WhatIfPlanner,
  subject: {
    readonly catalog: Catalog;
    readonly workload: Workload;
    readonly accesses: ReadonlyMap<string, readonly TableAccess[]>;
  },
): Promise<UpkeepModel> => {
  if (subject.workload.source === "files") {
    return { kind: "free", reason: "statements from files bring no times, so that no write cost is charged" };
  }
  if (!isShadow(planner)) {
    return {
      kind: "free",
      reason: "without a shadow there is no server to measure writes on, so that no write cost is charged",
    };
  }
  const costs = await withSession(openSession(planner.connection(), "build"), measureWriteCosts);
  return createUpkeep({ ...subject, costs, countersSince: null });
};

const isShadow = (planner: WhatIfPlanner): planner is ShadowPlanner => planner.name === "shadow";
