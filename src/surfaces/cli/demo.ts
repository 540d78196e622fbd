import { describeIndex } from "../../domain/index.ts";
import { formatDuration, formatSize } from "../../config/index.ts";
import { ExitCode } from "../../errors.ts";
import { adviceDocument } from "../../pilot/index.ts";
import { systemClock } from "../../runtime/index.ts";
import { type DemoQuery, type DemoReport, runDemo } from "../../simulator/index.ts";
import { showOneOfEach } from "./advice-view.ts";
import type { CommandContext } from "./context.ts";
import { buildDocument, paintOutcome, shortVerdict, showInterval, verdictDocument } from "./outcome-view.ts";
import { table, type Terminal } from "./terminal.ts";

export interface DemoFlags {
  readonly seed: number;
  readonly major: number;
  readonly keep?: boolean;
  readonly canary?: boolean;
}

export const demo = async (flags: DemoFlags, context: CommandContext): Promise<ExitCode> => {
  const { terminal } = context;
  await runDemo({
    major: flags.major,
    seed: flags.seed,
    clock: systemClock,
    signal: context.signal,
    emit: context.emit,
    onDone: async (report) => {
      if (context.json) terminal.out(JSON.stringify(demoDocument(report), null, 2));
      else showDemo(report, terminal);
      if (flags.keep === true) await keepServer(report, context);
    },
  });
  return ExitCode.ok;
};

/** Says where the server is, and leaves it running until Ctrl-C. */
export const keepServer = async (
  { url, buildUrl }: { readonly url: string; readonly buildUrl: string },
  { terminal, signal }: CommandContext,
): Promise<void> => {
  terminal.err(`\nThe server runs until Ctrl-C.\n  observe: ${url}\n  build:   ${buildUrl}`);
  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
};

const factor = (query: DemoQuery): string => {
  if (query.meanMsBefore === null || query.meanMsAfter === null || query.meanMsAfter === 0) return "";
  const value = query.meanMsBefore / query.meanMsAfter;
  return `× ${value >= 9.95 ? value.toFixed(0) : value.toFixed(1)}`;
};

export const milliseconds = (value: number | null): string =>
  value === null ? "–" : `${value < 10 ? value.toFixed(2) : value.toFixed(1)} ms`;

const showDemo = (report: DemoReport, terminal: Terminal): void => {
  const { colors } = terminal;
  const { apply } = report;
  terminal.out(
    `\n${colors.bold("Queries")}, mean time per call as the server measured it, before and after (factor above 1: faster)`,
  );
  const rows = report.queries
    .toSorted((a, b) => b.callsBefore * (b.meanMsBefore ?? 0) - a.callsBefore * (a.meanMsBefore ?? 0))
    .map((query) => [
      query.name,
      query.kind,
      String(query.callsBefore + query.callsAfter),
      milliseconds(query.meanMsBefore),
      milliseconds(query.meanMsAfter),
      factor(query),
      query.verdict === null ? colors.dim("not touched") : paintOutcome(query.verdict.outcome, terminal),
      query.verdict === null ? "" : colors.dim(showInterval(query.verdict.interval)),
    ]);
  terminal.out(
    table(
      [
        { title: "query" },
        { title: "" },
        { title: "calls", align: "right" },
        { title: "before", align: "right" },
        { title: "after", align: "right" },
        { title: "factor", align: "right" },
        { title: "verdict" },
        { title: "95 % interval of the change" },
      ],
      rows,
      terminal,
    ),
  );
  showIndexes(report, terminal);
  showDeclinedExamples(report, terminal);
  const { planted, otherWrites } = report;
  terminal.out(
    `\n${colors.bold("In all")}: the queries that lacked an index take ${formatDuration(planted.beforeMs)} → ${formatDuration(planted.afterMs)} at the same calls` +
      ` (${(planted.beforeMs / Math.max(planted.afterMs, 1e-9)).toFixed(1)} times faster); the other writes, which pay for it, ${formatDuration(otherWrites.beforeMs)} → ${formatDuration(otherWrites.afterMs)}; ` +
      `${String(report.traffic.errors)} errors in ${report.traffic.calls.toLocaleString("en")} calls.`,
  );
  const unbuilt = apply.builds.filter(({ outcome }) => outcome.kind !== "built");
  if (unbuilt.length > 0)
    terminal.out(colors.yellow(`${String(unbuilt.length)} indexes were not built; --json says why.`));
  terminal.out(`
${colors.bold("On your own database")}
  npx indexpilot doctor --url postgres://OBSERVER@HOST/DATABASE      what is missing, and the grant that mends it
  npx indexpilot advise --url postgres://OBSERVER@HOST/DATABASE      what would help and why; changes nothing
  npx indexpilot apply  --url postgres://OBSERVER@HOST/DATABASE --build-url postgres://OWNER@HOST/DATABASE --yes --wait`);
};

const showIndexes = ({ apply }: DemoReport, terminal: Terminal): void => {
  terminal.out(`\n${terminal.colors.bold("Indexes")}`);
  const rows = apply.builds.map(({ deployment, outcome }) => {
    const pursued = apply.verdicts.find((one) => one.deployment.id === deployment.id);
    return [
      deployment.sizeBytes === null ? "" : formatSize(deployment.sizeBytes),
      deployment.predictedBytes === null ? "" : formatSize(deployment.predictedBytes),
      deployment.buildMs === null ? outcome.kind : formatDuration(deployment.buildMs),
      pursued === undefined ? "" : `${shortVerdict(pursued.verdict)}, ${pursued.result}`,
      deployment.intended === null ? deployment.definition : describeIndex(deployment.intended),
    ];
  });
  terminal.out(
    table(
      [
        { title: "size", align: "right" },
        { title: "predicted", align: "right" },
        { title: "built in", align: "right" },
        { title: "verdict" },
        { title: "index", flexible: true },
      ],
      rows,
      terminal,
    ),
  );
};

const showDeclinedExamples = ({ apply }: DemoReport, terminal: Terminal): void => {
  const { declined } = apply.advice.configuration;
  terminal.out(`\n${terminal.colors.bold("Declined")}: ${String(declined.length)} candidates, one of each kind`);
  showOneOfEach(declined, terminal);
};

/** The same as one JSON document. */
const demoDocument = (report: DemoReport) => {
  const { apply } = report;
  const advice = adviceDocument(apply.advice);
  return {
    rows: report.rows,
    loadMs: Math.round(report.loadMs),
    indexes: apply.builds.map((build) => {
      const pursued = apply.verdicts.find((one) => one.deployment.id === build.deployment.id);
      return {
        ...buildDocument(build),
        verdict: pursued === undefined ? null : verdictDocument(pursued).outcome,
        result: pursued?.result ?? null,
        change: pursued?.verdict?.change ?? null,
        interval: pursued?.verdict?.interval ?? null,
        reason: pursued?.reason ?? null,
      };
    }),
    queries: report.queries.map((query) => ({
      name: query.name,
      kind: query.kind,
      planted: query.planted,
      fingerprint: query.fingerprint,
      text: query.text,
      calls: query.callsBefore + query.callsAfter,
      callsBefore: query.callsBefore,
      callsAfter: query.callsAfter,
      meanMsBefore: query.meanMsBefore,
      meanMsAfter: query.meanMsAfter,
      change: query.verdict?.change ?? null,
      interval: query.verdict?.interval ?? null,
      verdict: query.verdict?.outcome ?? null,
    })),
    declined: advice.declined,
    totals: { ...advice.totals, planted: report.planted, otherWrites: report.otherWrites },
    traffic: report.traffic,
  };
};
