/**
 * Does it survive kill -9? `npm run bench:crash -- [--runs 200] [--seed 1] [--majors 15,18]`
 *
 * Each run is one of four lives beside an application at work: a plan of two indexes, one of which is taken back; the same, and that one is built again from its
 * history; an index of somebody else's (plain, unique, constraint) replaced by an earlier version; an index rebuilt, ours or not. At each of its commands the
 * process is killed before the commit of a transition, right after one, or at any moment, one to three times. In the end it is left in peace, and a checker
 * that shares no code with it looks at catalogue, history and versions; another looks all the time whether the index to be replaced is there. The last line is JSON.
 */
import { parseArgs } from "node:util";
import { crashRun, openStage } from "./crash/harness.ts";

const { values: options } = parseArgs({
  options: {
    runs: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    majors: { type: "string", default: "15,18" },
  },
});
const runs = Number(options.runs);
const majors = options.majors.split(",").map(Number);

let done = 0;
let violations = 0;
for (const [at, major] of majors.entries()) {
  const stage = await openStage(major);
  try {
    for (let i = at; i < runs; i += majors.length) {
      const { seed, story, violations: found } = await crashRun(stage, Number(options.seed) * 1_000_003 + i);
      done += 1;
      violations += found.length;
      process.stdout.write(`${String(major)} ${String(seed)} ${found.length === 0 ? "ok" : "VIOLATED"}  ${story}\n`);
      for (const one of found) process.stdout.write(`    ${one}\n`);
    }
  } finally {
    await stage.close();
  }
}
process.stdout.write(`${JSON.stringify({ runs: done, violations })}\n`);
if (violations > 0) process.exitCode = 1;
