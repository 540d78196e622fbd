import { readFileSync } from "node:fs";
import { Command, CommanderError, Option } from "commander";
import {
  defaults,
  formatDuration,
  formatSize,
  knobs,
  readConfigFile,
  type Resolved,
  resolveSettings,
} from "../../config/index.ts";
import { ExitCode, failure, IndexPilotError } from "../../errors.ts";
import { advise, type AdviseFlags } from "./advise.ts";
import { approve, decline, type RulingFlags } from "./approve.ts";
import { apply, type ApplyFlags, verify, type VerifyFlags } from "./apply.ts";
import { config, type ConfigFlags } from "./config.ts";
import { type CommandContext, type ConnectionFlags, makeContext, type OutputFlags } from "./context.ts";
import { demo, type DemoFlags } from "./demo.ts";
import { demoCanary } from "./demo-canary.ts";
import { doctor } from "./doctor.ts";
import { drop, type DropFlags } from "./drop.ts";
import { explain, type ExplainFlags } from "./explain.ts";
import { health, type HealthFlags } from "./health.ts";
import { history, rollback, type RollbackFlags, status } from "./history.ts";
import { maintain, type MaintainFlags } from "./maintain.ts";
import { run as runDaemon, type RunFlags } from "./run.ts";
import { reindex, type ReindexFlags, rollbackVersion, type VersionRollbackFlags } from "./rebuild.ts";
import {
  admitRole,
  createExperiment,
  type CreateExperimentFlags,
  listExperiments,
  showExperiment,
  stopExperiment,
  type StopExperimentFlags,
} from "./experiment.ts";
import {
  analysis,
  connection,
  count,
  duration,
  fraction,
  observation,
  output,
  port,
  queryFiles,
  replicated,
  seed,
  settings,
  size,
  verdictWait,
  whatIf,
} from "./options.ts";
import { versions } from "./versions.ts";
import { resume, stop, type StopFlags } from "./stop.ts";
import { snapshot, type SnapshotFlags } from "./snapshot.ts";

const version = (): string =>
  (JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as { version: string }).version;

type Action<F> = (flags: F, context: CommandContext) => Promise<ExitCode>;

/**
 * Settles what holds for a command, and gives it as its flags: those that were not given and have a default take the file's word. The URLs
 * stay apart, because a command may have a use for knowing that they were not given.
 */
const settle = (command: Command): Resolved => {
  const given = (option: Option): boolean => command.getOptionValueSource(option.attributeName()) === "cli";
  const flags = new Map<string, unknown>();
  for (const option of command.options) {
    const value: unknown = command.getOptionValue(option.attributeName());
    // `--wait` without a time says nothing about how long.
    if (option.long !== undefined && given(option) && value !== true) flags.set(option.long, value);
  }
  const file = flags.get("--config");
  const settled = resolveSettings({
    flags,
    environment: process.env,
    file: readConfigFile(typeof file === "string" ? file : undefined),
  });
  const flagOf = new Map(Object.entries(knobs).map(([name, { flag }]) => [flag, name as keyof typeof knobs]));
  for (const option of command.options) {
    const name = flagOf.get(option.long);
    if (name === undefined || given(option) || option.defaultValue === undefined) continue;
    command.setOptionValueWithSource(option.attributeName(), settled.settings[name], "config");
  }
  return settled;
};

/** Runs one command line; the result is the exit code. Never throws. */
export const runCli = async (argv: readonly string[]): Promise<number> => {
  const abort = new AbortController();
  const onSignal = (): void => {
    // The second time a person means it.
    if (abort.signal.aborted) process.exit(ExitCode.interrupted);
    abort.abort(failure("interrupted", {}));
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  let code: number = ExitCode.ok;
  let resolved: Resolved = resolveSettings({ flags: new Map(), environment: {}, file: null });
  const json = argv.includes("--json");

  const run =
    <F extends OutputFlags>(action: Action<F>) =>
    async (flags: F): Promise<void> => {
      const context = makeContext(flags, abort.signal, resolved);
      try {
        code = await action(flags, context);
      } finally {
        context.terminal.status(null);
      }
    };

  try {
    await buildProgram(run)
      .hook("preAction", (_, command) => {
        // The demo brings its own database and its own settings.
        if (command.name() !== "demo") resolved = settle(command);
      })
      .parseAsync([...argv]);
  } catch (error) {
    // Whatever broke while everything was being stopped, the person's Ctrl-C is why.
    code = report(abort.signal.aborted ? failure("interrupted", {}) : error, json);
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
  return code;
};

const report = (error: unknown, json: boolean): number => {
  if (error instanceof CommanderError) {
    // Commander has written its message (or the help) itself.
    if (error.exitCode === 0) return ExitCode.ok;
    if (json)
      write({ code: "usage", message: error.message.replace(/^error: /, ""), remedy: "see `indexpilot --help`" });
    return ExitCode.usage;
  }
  if (error instanceof IndexPilotError) {
    if (json) write({ code: error.code, message: error.message, remedy: error.remedy, retryable: error.retryable });
    else process.stderr.write(`indexpilot: ${error.message}\n  remedy: ${error.remedy}\n`);
    return error.exitCode;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (json) write({ code: "internal", message: text, remedy: "please report this as a bug" });
  else process.stderr.write(`indexpilot: a bug: ${text}\n  remedy: please report it with these lines\n`);
  return ExitCode.internal;
};

const write = (error: object): void => {
  process.stdout.write(`${JSON.stringify({ error }, null, 2)}\n`);
};

const manual = `
The loop:
  $ indexpilot demo                       the whole loop on an embedded PostgreSQL, in about a minute
  $ indexpilot demo --canary              one new index promoted and one rolled back, under live traffic
  $ indexpilot doctor --url URL           what is missing on your server, and how to get it
  $ indexpilot advise --url URL           which indexes would help, and why; changes nothing
  $ indexpilot apply  --url URL --build-url URL2 --yes --wait
                                          builds them, measures, and takes back what made things worse
  $ indexpilot history --url URL          what was done, when, and why
  $ indexpilot health --url URL           bloat and its forecast, unused, redundant and invalid indexes
  $ indexpilot run    --url URL --build-url URL2
                                          all that by itself, on a schedule; indexpilot approve lets what it proposes be built
  $ indexpilot stop   --url URL --build-url URL2
                                          changes nothing any more, and ends running builds, until indexpilot resume

Beside it:
  $ indexpilot explain --compare --url URL 'select …'
                                          the target's plan and the shadow's, and what the advice would change
  $ indexpilot snapshot --url URL --out FILE, then: indexpilot advise --snapshot FILE
                                          the same advice without a connection
  $ indexpilot experiment create --treatment 'orders (customer_id)' --wait --url URL --build-url URL2
                                          two ways to index a table side by side, where the application's driver is hooked
  $ indexpilot config --explain           every setting of indexpilot_config.yaml, and where its value comes from

URLs are libpq's: postgres://user@host:5432/database?sslmode=verify-full&sslrootcert=ca.pem
Passwords are better given in PGPASSWORD or ~/.pgpass than in the URL.

Exit codes:
  0 done   1 done, and something was found (a problem, a worse verdict)   2 wrong usage or input   3 no connection
  4 the server lacks something (version, extension, privilege)   5 refused by a safeguard   6 failed   70 a bug   130 interrupted
`;

const buildProgram = (run: <F extends OutputFlags>(action: Action<F>) => (flags: F) => Promise<void>): Command => {
  const program = new Command("indexpilot")
    .description("An autopilot for PostgreSQL indexes that proves each change on live traffic before it keeps it.")
    .version(version(), "-V, --version")
    .addHelpText("after", manual)
    .showHelpAfterError("(indexpilot --help is the manual)")
    .exitOverride();
  const command = (name: string, description: string): Command =>
    (name === "demo" ? output : (made: Command) => settings(output(made)))(
      program
        .command(name)
        .description(description)
        .exitOverride()
        .showHelpAfterError(`(see indexpilot ${name} --help)`),
    );

  command("demo", "show the whole loop on an embedded PostgreSQL with an e-commerce database and live traffic")
    .addOption(new Option("--seed <n>", "seed of data and traffic").argParser(seed).default(defaults.seed))
    .addOption(new Option("--major <n>", "which PostgreSQL, 14 to 18").argParser(count).default(18))
    .option(
      "--canary",
      "two new indexes on trial, each for a tenth of the transactions first: one that helps is promoted, one that harms is rolled back",
    )
    .option("--keep", "leave the server running at the end until Ctrl-C, and print its URL")
    .action((flags: DemoFlags & OutputFlags) =>
      run<DemoFlags & OutputFlags>(flags.canary === true ? demoCanary : demo)(flags),
    );

  connection(
    command("doctor", "check version, extensions and the privileges of both roles; each finding with its remedy"),
  ).action(run<ConnectionFlags & OutputFlags>(doctor));

  queryFiles(
    observation(
      analysis(
        replicated(
          command("advise", "say which indexes would help this workload, and why; writes nothing on the target"),
        ),
      ),
    ),
  )
    .addOption(
      new Option("--kinds <kinds>", "btree: plain B-trees only, without INCLUDE, predicate or expression")
        .choices(["btree", "all"])
        .default("all"),
    )
    .addOption(
      new Option(
        "--objective <what>",
        "time: save the most in all; worst-query: first make the dearest call as cheap as can be; storage: the fewest bytes that give nine tenths of what the whole budget would",
      )
        .choices(["time", "worst-query", "storage"])
        .default("time"),
    )
    .option(
      "--time <time>",
      "search for this long and give the best found; without it the search ends by counts, and the same input gives the same answer",
      duration,
    )
    .option(
      "--out <file>",
      "write the plan to a file, to be reviewed and carried out later by `indexpilot apply <file>`",
    )
    .addOption(
      new Option(
        "--explain <what>",
        "all about one index (its number in the list, or as `orders (customer_id)`) or one query (its file, or the beginning of its fingerprint)",
      ).conflicts(["markdown", "sql"]),
    )
    .addOption(new Option("--markdown", "print Markdown, for a pull request").conflicts(["json", "sql"]))
    .addOption(new Option("--sql", "print a migration").conflicts("json"))
    .option("--snapshot <file>", "answer from a file that `indexpilot snapshot` wrote, without any connection")
    .addHelpText(
      "after",
      `
Files may hold several statements. A comment gives one more weight than the others: -- indexpilot: weight=10
Without --queries the workload is what pg_stat_statements has counted, or with --observe 10m what runs in the next ten minutes.`,
    )
    .action(run<AdviseFlags & OutputFlags>(advise));

  queryFiles(
    observation(
      replicated(
        command("snapshot", "write to a file all that advise needs of a database: for CI, for support, for a laptop"),
      ),
    ),
  )
    .requiredOption("--out <file>", "where to; readable by you only")
    .option("--redact", "leave out every value of the data; advice from the file is less certain")
    .option("--force", "replace the file if it exists")
    .addHelpText(
      "after",
      "\n  $ indexpilot snapshot --url URL --out shop.json\n  $ indexpilot advise --snapshot shop.json",
    )
    .action(run<SnapshotFlags & OutputFlags>(snapshot));

  queryFiles(
    observation(
      connection(command("explain", "show how statements are planned, and which indexes of the advice they would use")),
    ),
  )
    .argument("[sql]", "one statement; or choose with --queries or --fingerprint")
    .option("--compare", "the target's and the what-if planner's plan side by side, differences marked")
    .option("--fingerprint <prefix>", "statements whose fingerprint begins so, as `advise` shows it")
    .option("--snapshot <file>", "take statements and the target's plans from a snapshot, without any connection")
    .addOption(whatIf())
    .action((sql: string | undefined, flags: ExplainFlags & OutputFlags) =>
      run<ExplainFlags & OutputFlags>((given, context) => explain(sql, given, context))(flags),
    );

  verdictWait(
    observation(analysis(connection(command("apply", "build what advise would advise: a dry run unless --yes")))),
  )
    .argument(
      "[plan]",
      "a file that `indexpilot advise --out` wrote: build what it says, if the database has not moved on",
    )
    .option("--yes", "really build")
    .option(
      "--wait [time]",
      "watch until each index has a verdict, at most this long; drop what made things worse",
      duration,
    )
    .addOption(
      new Option("--baseline <time>", "how long to observe before the first build")
        .argParser(duration)
        .default(defaults.baselineMs, formatDuration(defaults.baselineMs)),
    )
    .option(
      "--canary",
      "let each index serve a share of the transactions first, where the application follows experiments",
    )
    .option(
      "--accept-installation",
      "schema indexpilot came here with a move of the server: it belongs to this database from now on",
    )
    .action((plan: string | undefined, flags: ApplyFlags & OutputFlags) =>
      run<ApplyFlags & OutputFlags>((given, context) => apply(plan, given, context))(flags),
    );

  verdictWait(
    observation(
      analysis(connection(command("config", "check the settings; --explain shows each, and where it comes from"))),
    ),
  )
    .option("--explain", "every setting: its value, where it comes from, what it takes and why")
    .action(run<ConfigFlags & OutputFlags>(config));

  verdictWait(
    connection(command("verify", "observe after a build and finish pending verdicts; drop what made things worse")),
  )
    .addOption(
      new Option("--wait <time>", "how long to look for a verdict")
        .argParser(duration)
        .default(defaults.waitMs, formatDuration(defaults.waitMs)),
    )
    .action(run<VerifyFlags & OutputFlags>(verify));

  connection(command("status", "what is ours in this database, in which state, and what it brought")).action(
    run<ConnectionFlags & OutputFlags>(status),
  );
  connection(command("history", "every step and every decision, oldest first, with reasons")).action(
    run<ConnectionFlags & OutputFlags>(history),
  );
  connection(
    command("versions", "the history of every index, anybody's: what it was, from when on, and who changed it"),
  )
    .argument("[index]", "all versions of one: its name, schema-qualified where needed")
    .action((index: string | undefined, flags: ConnectionFlags & OutputFlags) =>
      run<ConnectionFlags & OutputFlags>((given, context) => versions(index, given, context))(flags),
    );
  const experiment = program
    .command("experiment")
    .description("two ways to index a table, side by side on live traffic: what was seen, and what it says");
  const ofExperiment = (name: string, description: string): Command =>
    connection(
      settings(output(experiment.command(name)))
        .description(description)
        .exitOverride()
        .showHelpAfterError(`(see indexpilot experiment ${name} --help)`),
    );
  ofExperiment("list", "every experiment there was, with its verdict").action(
    run<ConnectionFlags & OutputFlags>(listExperiments),
  );
  ofExperiment("show", "one experiment: arms, split, errors, statements, and what they say so far")
    .argument("<experiment>", "its number, or the beginning of its id")
    .action((name: string, flags: ConnectionFlags & OutputFlags) =>
      run<ConnectionFlags & OutputFlags>((given, context) => showExperiment(name, given, context))(flags),
    );
  ofExperiment(
    "create",
    "compare two ways to index a table on live traffic, where processes of the application follow experiments",
  )
    .requiredOption("--treatment <index>", "the index on trial, e.g. 'orders (customer_id, created_at desc)'")
    .option("--control <index>", "what it is compared with (default: the indexes that everybody has)")
    .addOption(
      new Option(
        "--canary",
        "the index against none, a share of the transactions first, then half, then all, then built for everybody: stage by stage, by itself",
      ).conflicts(["control", "share", "unit", "metric"]),
    )
    .addOption(
      new Option("--share <share>", "share of the units that the treatment gets")
        .argParser(fraction)
        .default(0.1, "0.1"),
    )
    .addOption(
      new Option("--unit <what>", "what is drawn: transactions, or slices of time where few connections do everything")
        .choices(["transaction", "slice"])
        .default("transaction"),
    )
    .addOption(
      new Option("--metric <what>", "mean time per call, or its 95th percentile")
        .choices(["mean", "p95"])
        .default("mean"),
    )
    .addOption(
      new Option("--block <time>", "length of one window of evidence; at least a 20,000th of --longest")
        .argParser(duration)
        .default(defaults.blockMs, formatDuration(defaults.blockMs)),
    )
    .addOption(
      new Option("--longest <time>", "when it ends undecided")
        .argParser(duration)
        .default(defaults.canaryMaxMs, formatDuration(defaults.canaryMaxMs)),
    )
    .option("--wait [time]", "conduct it until it has ended, at most this long", duration)
    .action(run<CreateExperimentFlags & OutputFlags>(createExperiment));
  ofExperiment("admit", "let a role of the application follow experiments: read them, and hand in what it saw")
    .argument("<role>", "the role that the application's processes connect as")
    .action((role: string, flags: ConnectionFlags & OutputFlags) =>
      run<ConnectionFlags & OutputFlags>((given, context) => admitRole(role, given, context))(flags),
    );
  ofExperiment("stop", "end an experiment with the verdict of what was seen, and remove what was built for it")
    .argument("<experiment>", "its number, or the beginning of its id")
    .option("--reason <text>", "why, for the history", "stopped")
    .action((name: string, flags: StopExperimentFlags & OutputFlags) =>
      run<StopExperimentFlags & OutputFlags>((given, context) => stopExperiment(name, given, context))(flags),
    );
  for (const [name, act, description] of [
    ["approve", approve, "say yes to changes that wait for it; without a name, list what waits"],
    ["decline", decline, "say no to changes that wait to be approved or begun"],
  ] as const) {
    connection(command(name, description))
      .argument("[index...]", "names, or beginnings of ids")
      .option("--all", "whatever waits for approval")
      .option("--reason <text>", "why, for the history")
      .action((subjects: string[], flags: RulingFlags & OutputFlags) =>
        run<RulingFlags & OutputFlags>((given, context) => act(subjects, given, context))(flags),
      );
  }
  replicated(
    command(
      "health",
      "how the indexes are: bloat and its forecast, what is unused, redundant or invalid; changes nothing",
    ),
  )
    .argument("[index]", "all about one, with a chart: its name, schema-qualified where needed")
    .option(
      "--record",
      "remember this look in schema indexpilot (role of --build-url): once a day is enough for forecasts",
    )
    .addOption(
      new Option(
        "--read <size>",
        "read this much of tables at most, to count keys that the statistics describe too coarsely",
      )
        .argParser(size)
        .default(defaults.healthReadBytes, formatSize(defaults.healthReadBytes)),
    )
    .option("--all", "list all indexes, not only those with the most to give back")
    .addOption(new Option("--markdown", "print Markdown").conflicts(["json", "html"]))
    .addOption(
      new Option(
        "--html <file>",
        "write a page with plots that needs nothing but a browser: to be mailed, printed, put on a server",
      ).conflicts(["json"]),
    )
    .option("--force", "replace the file of --html if it exists")
    .action((index: string | undefined, flags: HealthFlags & OutputFlags) =>
      run<HealthFlags & OutputFlags>((given, context) => health(index, given, context))(flags),
    );
  replicated(
    command("run", "steer one or several databases until a signal: observe, advise, build what is approved, verify"),
    "what it uses is not dropped, and approved drops wait while one is not named, or away",
  )
    .option("--health-port <n>", "serve /livez, /readyz, /status and /metrics", port)
    .addHelpText(
      "after",
      `
Several processes may run for the same database: one leads, the others stand by. The log is one JSON object a line, or text on a terminal.
SIGTERM or Ctrl-C ends it: a build that runs may go on for daemon.stop_grace, then it is cancelled and built again by the next leader. A second signal cuts.
In mode approve nothing is built before \`indexpilot approve\`; \`indexpilot stop\` ends running builds at once.`,
    )
    .action(run<RunFlags & OutputFlags>(runDaemon));
  replicated(
    command(
      "maintain",
      "keep house: analyse stale tables, rebuild what is bloated and worth it, carry out what was approved, propose what else was found: a dry run unless --yes",
    ),
  )
    .option("--yes", "really do it, within the limits of predictive_maintenance and the maintenance windows")
    .addHelpText(
      "after",
      `
Proposed are drops of what is unused, redundant or left invalid by somebody's failed build, and indexes that foreign keys lack; the planner is asked about each
statement of the workload before. Nothing of that is done before \`indexpilot approve NAME\`; then \`indexpilot run\`, or the next maintain --yes, does it.`,
    )
    .action(run<MaintainFlags & OutputFlags>(maintain));
  connection(command("stop", "stop everything that changes the database now, running builds included"))
    .option("--reason <text>", "why, for those who find it stopped")
    .action(run<StopFlags & OutputFlags>(stop));
  connection(command("resume", "let work begin again after a stop")).action(run<ConnectionFlags & OutputFlags>(resume));
  observation(
    replicated(
      command(
        "drop",
        "drop an index, anybody's, when nothing needs it: the planner is asked about each statement first; a dry run unless --yes",
      ),
    ),
  )
    .argument("<index>", "its name, schema-qualified where needed")
    .option("--yes", "really drop, concurrently; the history keeps what it was")
    .addOption(
      new Option(
        "--trial <time>",
        "hide it from the planner for so long first, and drop it if nothing is worse (superuser)",
      )
        .argParser(duration)
        .default(defaults.trialMs, "no trial"),
    )
    .option("--undo", "end a trial: the planner sees the index again")
    .action((index: string, flags: DropFlags & OutputFlags) =>
      run<DropFlags & OutputFlags>((given, context) => drop(index, given, context))(flags),
    );
  connection(
    command(
      "rollback",
      "drop an index that IndexPilot built, or with --to let an index be again what it was: a dry run unless --yes",
    ),
  )
    .argument("<index>", "its name, schema-qualified where needed")
    .addOption(
      new Option("--to <version>", "build this version of it, as `indexpilot versions` numbers them, in its place")
        .argParser(count)
        .conflicts("blocking"),
    )
    .option("--yes", "really do it")
    .option("--blocking", "also where reads and writes of a whole partitioned table stand still for a moment")
    .option("--not-ours", "with --to: also where the index is not IndexPilot's")
    .option("--reason <text>", "with --to: why, for the history")
    .action((index: string, flags: RollbackFlags & Partial<VersionRollbackFlags> & OutputFlags) =>
      run<RollbackFlags & Partial<VersionRollbackFlags> & OutputFlags>(({ to, ...given }, context) =>
        to === undefined ? rollback(index, given, context) : rollbackVersion(index, { ...given, to }, context),
      )(flags),
    );
  connection(command("reindex", "build an index anew as it is, anybody's, concurrently: a dry run unless --yes"))
    .argument("<index>", "its name, schema-qualified where needed")
    .option("--yes", "really do it")
    .option("--reason <text>", "why, for the history")
    .action((index: string, flags: ReindexFlags & OutputFlags) =>
      run<ReindexFlags & OutputFlags>((given, context) => reindex(index, given, context))(flags),
    );
  return program;
};
