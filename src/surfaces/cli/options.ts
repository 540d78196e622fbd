import { type Command, InvalidArgumentError, Option } from "commander";
import { defaults, formatDuration, formatSize, parseDuration, parseSize } from "../../config/index.ts";
import { IndexPilotError } from "../../errors.ts";

// What an option takes.
export const size = (text: string): number => asArgument(() => parseSize(text));
export const duration = (text: string): number => asArgument(() => parseDuration(text));
export const count = (text: string): number => {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError("a whole number above zero is needed");
  return Number(text);
};
export const fraction = (text: string): number => {
  const value = Number(text);
  if (!(value > 0 && value < 1)) throw new InvalidArgumentError("a share between 0 and 1 is needed, e.g. 0.5");
  return value;
};
export const seed = (text: string): number => {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("a whole number is needed");
  return Number(text);
};
export const port = (text: string): number => {
  const value = Number(text);
  if (!/^\d{1,5}$/.test(text) || value > 65_535) throw new InvalidArgumentError("a port is needed");
  return value;
};
const collect = (text: string, before: readonly string[]): readonly string[] => [...before, text];

const asArgument = (parse: () => number): number => {
  try {
    return parse();
  } catch (error) {
    if (error instanceof IndexPilotError) throw new InvalidArgumentError(`${error.message}; ${error.remedy}`);
    throw error;
  }
};

// Options that several commands share.
export const connection = (command: Command): Command =>
  command
    .option(
      "--url <url>",
      "the database, as the observing role; what it leaves out comes from PGHOST, PGUSER, PGPASSWORD…",
    )
    .option("--build-url <url>", "the same database as the role that owns the tables (default: the role of --url)")
    .option("--target <name>", "one of the databases that the settings list under targets");

export const output = (command: Command): Command =>
  command.option("--json", "print one JSON document instead of text").option("--quiet", "no progress and no remarks");

export const settings = (command: Command): Command =>
  command.option(
    "--config <file>",
    "settings (default: indexpilot_config.yaml of the working directory, where there is one)",
  );

export const whatIf = (): Option =>
  new Option(
    "--what-if <engine>",
    "who answers what-if: an embedded server of the same major, or the target's HypoPG extension",
  )
    .choices(["shadow", "hypopg"])
    .default("shadow");

export const analysis = (command: Command): Command =>
  command
    .addOption(
      new Option("--budget <size>", "storage for new indexes minus dropped ones, e.g. 250MB, 1GB, 1GiB")
        .argParser(size)
        .default(defaults.budgetBytes, formatSize(defaults.budgetBytes)),
    )
    .addOption(whatIf())
    .option(
      "--measure-writes",
      "measure what writes pay for an index on the embedded server, instead of figures of reference; advice may differ from time to time",
    )
    .addOption(new Option("--max-columns <n>", "key columns per index").argParser(count).default(defaults.maxColumns));

export const observation = (command: Command): Command =>
  command
    .option(
      "--observe <time>",
      "watch for this long and use only what ran meanwhile, instead of the cumulative counters",
      duration,
    )
    .addOption(new Option("--seed <n>", "seed of the parameter values").argParser(seed).default(defaults.seed));

export const replicated = (command: Command, why = "what runs there counts as well"): Command =>
  connection(command).option(
    "--replica-url <url>",
    `a streaming replica of the database, as the observing role: ${why} (repeatable)`,
    collect,
    [],
  );

export const queryFiles = (command: Command): Command =>
  command
    .option(
      "--queries <glob>",
      "take the workload from SQL files instead of pg_stat_statements (repeatable)",
      collect,
      [],
    )
    .option("--exclude <glob>", "leave out files of --queries (repeatable)", collect, []);

export const verdictWait = (command: Command): Command =>
  command.addOption(
    new Option("--block <time>", "length of one block of observation")
      .argParser(duration)
      .default(defaults.blockMs, formatDuration(defaults.blockMs)),
  );
