/**
 * Does the gate keep an index on trial from everybody but those who state it, and change nothing else? `npm run bench:gate -- --statements N --seed S`
 *
 * On 15 and on 18: every shape of `gate/shapes.ts`, as plain text, prepared with a custom and prepared with a generic plan, as it is and with the gate:
 * the same results; the original never plans nor scans the gated index; the rewritten one uses it wherever the original uses an ordinary index. Then so
 * many random statements over the same schema, half on each, direct against rewritten. Prints what was skipped and why, and every difference. Ends with
 * one line of JSON; exits with 1 if there is a difference or a leak.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { startEmbedded } from "../src/embedded/index.ts";
import { loadParser } from "../src/sql/index.ts";
import { openDatabase } from "./gate/database.ts";
import { differential } from "./gate/differential.ts";
import { modes, outcomeOf, plain, planOf, rewrite, scansOf, setMode } from "./gate/run.ts";
import { gatedIndex, ordinaryIndex } from "./gate/schema.ts";
import { shapes } from "./gate/shapes.ts";

const { values: options } = parseArgs({
  options: {
    statements: { type: "string", default: "20000" },
    seed: { type: "string" },
    majors: { type: "string", default: "15,18" },
  },
});
const statements = Number(options.statements);
const seed = options.seed === undefined ? randomInt(1_000_000) : Number(options.seed);
const majors = options.majors.split(",").map(Number);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const total = { statements: 0, touching: 0, rewritten: 0, differences: 0, controlLeaks: 0 };
say(`seed ${seed}`);
await loadParser();

for (const [turn, major] of majors.entries()) {
  const server = await startEmbedded({ major, settings: { shared_buffers: "64MB", autovacuum: "off" } });
  const [gated, ordinary, random] = [
    await openDatabase(server, "gated", "gated", 4_000),
    await openDatabase(server, "ordinary", "ordinary", 4_000),
    await openDatabase(server, "random", "gated", 800),
  ];
  try {
    const seen = { same: 0, leaks: 0, missed: 0, both: 0, neither: 0, left: 0 };
    for (const mode of modes) {
      await setMode(gated, mode);
      await setMode(ordinary, mode);
      const before = await scansOf(gated);
      const chosen = shapes.map((shape) => (mode === "plain" ? plain(shape) : shape));
      const direct: string[] = [];
      for (const shape of chosen) {
        direct.push(await outcomeOf(gated, shape));
        if ((await planOf(gated, shape, mode)).includes(gatedIndex)) {
          seen.leaks += 1;
          say(`LEAK ${major} ${mode}: ${shape.text}`);
        }
      }
      seen.leaks += (await scansOf(gated)) - before;
      for (const [i, shape] of chosen.entries()) {
        const outcome = rewrite(shape.text);
        if (outcome.kind !== "rewritten") {
          seen.left += 1;
          if (mode === "plain")
            say(
              `left as it is on ${major}: ${outcome.kind === "skipped" ? outcome.reasons.join(", ") : outcome.kind}: ${shape.text}`,
            );
          continue;
        }
        const treated = { ...shape, text: outcome.text };
        if ((await outcomeOf(gated, treated)) === direct[i]) seen.same += 1;
        else {
          total.differences += 1;
          say(`DIFFERENT ${major} ${mode}: ${shape.text}\n  ${direct[i]?.slice(0, 300)}\n  ${outcome.text}`);
        }
        const plans = [await planOf(ordinary, shape, mode), await planOf(gated, treated, mode)] as const;
        const [usesOrdinary, usesGated] = [plans[0].includes(ordinaryIndex), plans[1].includes(gatedIndex)];
        if (usesOrdinary && usesGated) seen.both += 1;
        else if (!usesOrdinary && !usesGated) seen.neither += 1;
        else {
          seen.missed += 1;
          say(`PLAN ${major} ${mode}: ${shape.text}\n${plans.join("\n--\n")}`);
        }
      }
    }
    say(
      `${major}: ${shapes.length} shapes × ${modes.length}: ${seen.same} same results; the index used as an ordinary one ${seen.both}, by neither ${seen.neither}, ` +
        `otherwise ${seen.missed}; left as they are ${seen.left}; leaks ${seen.leaks}`,
    );
    total.controlLeaks += seen.leaks;
    total.differences += seen.missed;

    const share = Math.round(statements / majors.length);
    const found = await differential(random, share, seed + turn, (done) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${major}: ${done} of ${share}`);
    });
    for (const { mode, original, rewritten, outcomes } of found.differences.slice(0, 10)) {
      say(`DIFFERENT ${major} ${mode}: ${original.text} ${JSON.stringify(original.values)}\n  ${rewritten}`);
      for (const outcome of outcomes) say(`  → ${outcome.slice(0, 200).replaceAll("\n", " ")}`);
    }
    say(
      `${major}: ${found.statements} random statements, ${found.touching} scan the table, ${found.rewritten} rewritten ` +
        `(${((100 * found.rewritten) / found.touching).toFixed(1)} %), ${found.differences.length} differences; ${found.unfinished} too slow to compare, ` +
        `${found.refused} refused alike; scans by control ${found.controlLeaks}, by treatment ${found.treatmentScans}`,
    );
    for (const [reason, count] of [...found.skipped].toSorted((a, b) => b[1] - a[1]))
      say(`  ${count} scans left: ${reason}`);
    total.statements += found.statements;
    total.touching += found.touching;
    total.rewritten += found.rewritten;
    total.differences += found.differences.length;
    total.controlLeaks += found.controlLeaks;
  } finally {
    for (const client of [gated, ordinary, random]) await client.end();
    await server.stop();
  }
}
say(`${((100 * total.rewritten) / total.touching).toFixed(1)} % of the statements that scan the table are rewritten`);
const { rewritten, differences, controlLeaks } = total;
say(JSON.stringify({ statements: total.statements, rewritten, differences, controlLeaks }));
process.exitCode = differences + controlLeaks > 0 ? 1 : 0;
