/**
 * Writes a synthetic workload for `bench:advisor`: 90 analytical queries over 24 tables of a snowflake.
 *
 * `npm run bench:workload -- DIR [--seed N]`
 */
import { parseArgs } from "node:util";
import { writeWorkload } from "./advisor/synthetic.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: "string", default: "1" } },
});
const [folder] = positionals;
if (folder === undefined) throw new Error("the folder to write is needed");
writeWorkload(folder, Number(values.seed), { facts: 6, dimensions: 18, queries: 90 });
