/** Once it is told to, conducts the experiments of one database until all are over: the process that is killed. Its argument is JSON, see {@link Orders}. */
import { once } from "node:events";
import { pilotFor } from "../../src/surfaces/library/index.ts";
import { conductExperiments, type PilotContext } from "../../src/pilot/index.ts";

/** What it is told. */
export interface Orders {
  readonly url: string;
  readonly buildUrl: string;
  readonly settings: Partial<PilotContext["settings"]>;
}

const orders = JSON.parse(process.argv[2] ?? "null") as Orders;
await once(process, "message");
process.disconnect?.();
await conductExperiments(pilotFor(orders), { actor: { name: "bench", consents: true }, waitMs: 300_000 });
