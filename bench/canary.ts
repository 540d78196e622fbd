/**
 * Does an experiment end as it should, whoever dies in the middle? `npm run bench:canary -- [--runs 56] [--seed 1] [--majors 15,18] [--only TEXT]`
 *
 * Each run is one canary or A/B test on a live server, with an application in a process of its own that follows experiments as a role of its own, and a conductor in
 * another: one of the scenarios of `canary/scenarios.ts`, with the conductor killed (SIGKILL) two to four times, and in every second round in peace: before a step is committed,
 * when it is and the process does not know, right after, or at any moment. In the end a checker that shares no code with IndexPilot looks at catalogue and store. The last
 * line is JSON.
 */
import { parseArgs } from "node:util";
import { canaryRun } from "./canary/run.ts";
import { scenarios } from "./canary/scenarios.ts";
import { openStage } from "./canary/stage.ts";

const { values: options } = parseArgs({
  options: {
    runs: { type: "string", default: "56" },
    seed: { type: "string", default: "1" },
    majors: { type: "string", default: "15,18" },
    only: { type: "string", default: "" },
  },
});
const runs = Number(options.runs);
const majors = options.majors.split(",").map(Number);
const chosen = scenarios.filter(({ name }) => name.includes(options.only));

const total = { runs: 0, violations: 0, promoted: 0, rolledBack: 0, undecided: 0, equivalent: 0, applicationErrors: 0 };
for (const [at, major] of majors.entries()) {
  const stage = await openStage(major);
  try {
    for (let i = at; i < runs; i += majors.length) {
      const round = Math.floor(i / majors.length);
      const scenario = chosen[round % chosen.length];
      if (scenario === undefined) throw new Error(`no scenario is named ${options.only}`);
      const seed = Number(options.seed) * 1_000_003 + i;
      const withKills = Math.floor(round / chosen.length) % 2 === 0;
      const { ended, story, seconds, violations, applicationErrors } = await canaryRun(
        stage,
        scenario,
        seed,
        withKills,
      );
      total.runs += 1;
      total.violations += violations.length;
      total.applicationErrors += applicationErrors;
      if (ended.winner !== null) total.promoted += 1;
      else if (ended.outcome === "undecided") total.undecided += 1;
      else if (ended.outcome === "equivalent") total.equivalent += 1;
      else total.rolledBack += 1;
      const line = [
        major,
        String(seed).padEnd(8),
        scenario.name.padEnd(20),
        (ended.outcome ?? ended.state).padEnd(11),
        `${seconds.toFixed(0).padStart(4)} s`,
        violations.length === 0 ? "ok      " : "VIOLATED",
        story,
      ];
      process.stdout.write(`${line.join("  ")}\n`);
      for (const one of violations) process.stdout.write(`    ${one}\n`);
    }
  } finally {
    await stage.close();
  }
}
process.stdout.write(`${JSON.stringify(total)}\n`);
if (total.violations > 0) process.exitCode = 1;
