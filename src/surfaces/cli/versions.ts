import { formatSize } from "../../config/index.ts";
import type { IndexVersion } from "../../domain/index.ts";
import { ExitCode } from "../../errors.ts";
import { readSeries, readVersions } from "../../pilot/index.ts";
import { type CommandContext, type ConnectionFlags, pilotContext } from "./context.ts";
import { tableOf } from "./outcome-view.ts";
import { table } from "./terminal.ts";

const day = (at: Date): string => at.toISOString().slice(0, 19).replace("T", " ");

const describeVersion = (version: IndexVersion): string => {
  const place = version.tablespace === null ? "" : ` tablespace ${version.tablespace}`;
  const constraint = version.constraint === null ? "" : ` (constraint: ${version.constraint})`;
  return `${version.definition}${place}${constraint}`;
};

/** Without a name the latest version of each index, with one all versions of it. */
export const versions = async (
  name: string | undefined,
  flags: ConnectionFlags,
  context: CommandContext,
): Promise<ExitCode> => {
  const pilot = pilotContext(flags, context);
  const { terminal } = context;
  if (name === undefined) {
    const series = await readSeries(pilot);
    if (context.json) terminal.out(JSON.stringify({ indexes: series }, null, 2));
    else if (series.length === 0) terminal.out("No index has been seen yet.");
    else {
      terminal.out(
        table(
          [
            { title: "index" },
            { title: "table" },
            { title: "version", align: "right" },
            { title: "noticed (UTC)" },
            { title: "change" },
            { title: "by" },
            { title: "definition", flexible: true },
          ],
          series.map((one) => [
            one.name,
            tableOf(one),
            String(one.latest.number),
            day(one.latest.at),
            one.latest.change,
            one.latest.actor,
            describeVersion(one.latest),
          ]),
          terminal,
        ),
      );
    }
    return ExitCode.ok;
  }
  const found = await readVersions(pilot, name);
  if (context.json) terminal.out(JSON.stringify({ indexes: found }, null, 2));
  else {
    for (const series of found) {
      terminal.out(terminal.colors.bold(`${series.schema}.${series.name} on ${tableOf(series)}`));
      for (const version of series.versions) {
        terminal.out(
          `  ${String(version.number).padStart(3)}  ${day(version.at)}  ${version.change} by ${version.actor}, ${formatSize(version.sizeBytes)}: ${version.reason}`,
        );
        terminal.out(terminal.colors.dim(`       ${describeVersion(version)}`));
      }
    }
  }
  return ExitCode.ok;
};
