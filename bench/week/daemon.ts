/** The daemon of one database under an accelerated calendar, as a process of its own, so that it can be killed. */
import type { Settings } from "../../src/config/index.ts";
import { jsonLines, runDaemon } from "../../src/daemon/index.ts";
import { failure } from "../../src/errors.ts";
import { resolveConnection } from "../../src/postgres/index.ts";
import { acceleratedClock, systemRandom } from "../../src/runtime/index.ts";

/** What it is started with, as JSON. */
export interface WeekOrder {
  readonly observe: string;
  readonly build: string;
  readonly settings: Settings;
  readonly calendar: { readonly start: string; readonly begun: number; readonly factor: number };
}

const { observe, build, settings, calendar } = JSON.parse(process.argv[2] ?? "") as WeekOrder;
const clock = acceleratedClock(new Date(calendar.start), calendar.begun, calendar.factor);
const drain = new AbortController();
process.once("SIGTERM", () => drain.abort(failure("interrupted", {})));
await runDaemon({
  targets: [
    {
      name: "week",
      pilot: { observe: resolveConnection(observe, {}), build: resolveConnection(build, {}), settings, clock },
    },
  ],
  clock,
  random: systemRandom,
  log: jsonLines((line) => process.stdout.write(line), clock),
  webhook: null,
  drain: drain.signal,
  stopGraceMs: settings.stopGraceMs,
});
