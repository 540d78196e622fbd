/**
 * Does the shadow plan as the target does? `npm run bench:shadow -- [--majors 15,18] [--schema commerce] [--rows 0.5] [--sizes]`
 *
 * Fills three databases of different character on each major version, and compares the shadow's plans with the server's own: as they are
 * (same shape, total cost within 1 %), with hypothetical indexes against really built ones (within 5 %), and after 30 % of the rows changed without
 * ANALYZE (within 1 %). Every miss is listed. The last line is JSON.
 */
import { parseArgs } from "node:util";
import { startEmbedded } from "../src/embedded/index.ts";
import { openSession, quoteIdentifier, resolveConnection } from "../src/postgres/index.ts";
import { commerce } from "./shadow/commerce.ts";
import { events } from "./shadow/events.ts";
import { type Comparison, measure, type SizeComparison } from "./shadow/measure.ts";
import { loadParser } from "../src/sql/index.ts";
import { tenants } from "./shadow/tenants.ts";

const fixtures = [commerce, tenants, events];

const { values: options } = parseArgs({
  options: {
    majors: { type: "string", default: "14,15,16,17,18" },
    schema: { type: "string" },
    rows: { type: "string", default: "1" },
    sizes: { type: "boolean", default: false },
  },
});

const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

const isSame = (comparison: Comparison, tolerance: number): boolean =>
  comparison.sameShape && comparison.ratio !== null && Math.abs(comparison.ratio - 1) <= tolerance;

const total = { baseline: { plans: 0, same: 0 }, hypothetical: { pairs: 0, same: 0 }, stale: { plans: 0, same: 0 } };
const sizes: SizeComparison[] = [];
let trustedMisses = 0;

const report = (name: string, comparisons: readonly Comparison[], tolerance: number): { all: number; same: number } => {
  const misses = comparisons.filter((one) => !isSame(one, tolerance));
  const same = comparisons.length - misses.length;
  const exact = comparisons.filter((one) => isSame(one, 1e-9)).length;
  const share = ((100 * same) / Math.max(1, comparisons.length)).toFixed(1);
  say(
    `    ${name.padEnd(13)}${String(same).padStart(4)} of ${String(comparisons.length).padStart(4)} same (${share} %), ${String(exact)} to the cent`,
  );
  for (const miss of misses) {
    const confidence = miss.doubted ? "advice on it would be doubted" : "ADVICE ON IT WOULD BE TRUSTED";
    say(`      ${miss.index === null ? "" : `[${miss.index}] `}${miss.sql}\n      ${miss.detail}\n      ${confidence}`);
  }
  trustedMisses += misses.filter((miss) => !miss.doubted).length;
  return { all: comparisons.length, same };
};

await loadParser();
for (const major of options.majors.split(",").map(Number)) {
  const began = performance.now();
  const server = await startEmbedded({
    major,
    settings: { autovacuum: "off", jit: "off", max_wal_size: "4GB", shared_buffers: "256MB" },
  });
  try {
    const administrator = await openSession(resolveConnection(server.url(), {}), "build");
    await administrator.script("create role observer login bypassrls; grant pg_monitor, pg_read_all_data to observer");
    for (const fixture of fixtures.filter((one) => options.schema === undefined || options.schema === one.name)) {
      await administrator.script(`create database ${quoteIdentifier(fixture.name)}`);
      const measures = await measure(server, fixture, Number(options.rows));
      say(`PostgreSQL ${String(major)}, ${fixture.name}`);
      for (const { object, reason } of measures.leftOut) say(`    left out: ${object}: ${reason}`);
      const baseline = report("baseline", measures.baseline, 0.01);
      const hypothetical = report("hypothetical", measures.hypothetical, 0.05);
      const stale = report("stale", measures.stale, 0.01);
      total.baseline.plans += baseline.all;
      total.baseline.same += baseline.same;
      total.hypothetical.pairs += hypothetical.all;
      total.hypothetical.same += hypothetical.same;
      total.stale.plans += stale.all;
      total.stale.same += stale.same;
      sizes.push(...measures.sizes);
    }
    await administrator.close();
  } finally {
    await server.stop();
  }
  say(`  ${((performance.now() - began) / 1000).toFixed(0)} s`);
}

say("\nestimated ÷ real size          n  median   lowest  highest");
for (const kind of [...new Set(sizes.map((one) => one.kind))].sort()) {
  const ratios = sizes
    .filter((one) => one.kind === kind)
    .map((one) => one.estimated / one.real)
    .sort((a, b) => a - b);
  const at = (share: number): string =>
    (ratios[Math.floor(share * (ratios.length - 1))] ?? Number.NaN).toFixed(2).padStart(8);
  say(`  ${kind.padEnd(26)}${String(ratios.length).padStart(4)}${at(0.5)} ${at(0)} ${at(1)}`);
}
say(`  outside the error that advice shows: ${String(sizes.filter((one) => !one.asShown).length)}`);
if (options.sizes) {
  for (const one of sizes)
    say(
      `  ${(one.estimated / one.real).toFixed(2)} ${String(one.estimated / 8192)} ${String(one.real / 8192)} ${one.index}`,
    );
}
say(`misses that advice would have trusted: ${String(trustedMisses)}`);
say(JSON.stringify(total));
