/**
 * What can go wrong, in words that say what to do about it.
 *
 * Every operational failure a person can meet is an entry here: a stable code, a message, a remedy, an exit code, and
 * whether trying again can help. Expected outcomes (a refusal, an undecided verdict) are values, not errors. A broken
 * invariant is an ordinary `Error` and exits with 70.
 */

/** Process exit codes; the manual (`indexpilot --help`) lists them. */
export const ExitCode = {
  ok: 0,
  /** The command ran; what it found is not all right (doctor found a problem, a verdict is worse). */
  findings: 1,
  /** Wrong usage: flags, files, configuration, input. */
  usage: 2,
  /** The database cannot be reached or does not let us in. */
  connection: 3,
  /** The database is reachable but lacks something: version, extension, privilege. */
  unsuitable: 4,
  /** A safeguard said no. */
  refused: 5,
  /** The work was begun and failed; nothing half done is left behind. */
  failed: 6,
  internal: 70,
  interrupted: 130,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

interface Entry<P> {
  readonly exitCode: ExitCode;
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean;
  readonly message: (parameters: P) => string;
  readonly remedy: (parameters: P) => string;
}

const entry = <P>(value: Entry<P>): Entry<P> => value;

const catalogue = {
  usage: entry<{ problem: string; hint?: string }>({
    exitCode: ExitCode.usage,
    retryable: false,
    message: (p) => p.problem,
    remedy: (p) => p.hint ?? "see `indexpilot --help`",
  }),
  bad_url: entry<{ problem: string }>({
    exitCode: ExitCode.usage,
    retryable: false,
    message: (p) => `the connection URL cannot be used: ${p.problem}`,
    remedy: () => "write it as postgres://user@host:5432/database, or set PGHOST, PGUSER, PGDATABASE",
  }),
  connection_refused: entry<{ host: string; port: number; cause: string }>({
    exitCode: ExitCode.connection,
    retryable: true,
    message: (p) => `no PostgreSQL answers at ${p.host}:${p.port} (${p.cause})`,
    remedy: () => "check host and port, that the server runs, and that it listens on this address",
  }),
  authentication_failed: entry<{ user: string; cause: string }>({
    exitCode: ExitCode.connection,
    retryable: false,
    message: (p) => `the server does not let role "${p.user}" in: ${p.cause}`,
    remedy: () => "check user and password (URL, PGPASSWORD or ~/.pgpass) and pg_hba.conf",
  }),
  database_missing: entry<{ database: string }>({
    exitCode: ExitCode.connection,
    retryable: false,
    message: (p) => `database "${p.database}" does not exist on this server`,
    remedy: () => "check the last part of the URL, or PGDATABASE",
  }),
  replica_unsuitable: entry<{ node: string; problem: string }>({
    exitCode: ExitCode.usage,
    retryable: false,
    message: (p) => `--replica-url ${p.node} ${p.problem}`,
    remedy: () => "give the streaming replicas of the server of --url, each once, with the same database",
  }),
  replica_unreachable: entry<{ node: string; cause: string }>({
    exitCode: ExitCode.connection,
    // By itself only when somebody starts it; the server of --url is there, and what needs no replica goes on.
    retryable: false,
    message: (p) => `replica ${p.node} cannot be asked: ${p.cause}`,
    remedy: () => "start it, or leave its --replica-url out when it is gone for good",
  }),
  tls_failed: entry<{ cause: string }>({
    exitCode: ExitCode.connection,
    retryable: false,
    message: (p) => `TLS with the server failed: ${p.cause}`,
    remedy: () =>
      "write the host as its certificate names it, check sslmode, and give your own authority's certificate with sslrootcert=/path/ca.pem (or PGSSLROOTCERT)",
  }),
  connection_lost: entry<{ cause: string }>({
    exitCode: ExitCode.connection,
    retryable: true,
    message: (p) => `the connection to the server was lost: ${p.cause}`,
    remedy: () => "run the command again; what was begun is found and finished or removed",
  }),
  too_many_connections: entry<{ cause: string }>({
    exitCode: ExitCode.connection,
    retryable: true,
    message: (p) => `the server has no connection left: ${p.cause}`,
    remedy: () => "IndexPilot needs up to three connections; try later or raise the role's connection limit",
  }),
  pooler_in_between: entry<Record<string, never>>({
    exitCode: ExitCode.unsuitable,
    retryable: false,
    message: () =>
      "a connection pooler stands between us and the server (it announces another backend than the one that answers)",
    remedy: () =>
      "connect to PostgreSQL itself, by the host and port that the pooler is configured with: in transaction mode it loses session locks and settings, and session mode cannot be told from that",
  }),
  server_too_old: entry<{ version: string }>({
    exitCode: ExitCode.unsuitable,
    retryable: false,
    message: (p) => `PostgreSQL ${p.version} is too old`,
    remedy: () => "IndexPilot supports PostgreSQL 14 to 18; upgrade the server",
  }),
  server_too_new: entry<{ version: string }>({
    exitCode: ExitCode.unsuitable,
    retryable: false,
    message: (p) => `PostgreSQL ${p.version} is newer than this IndexPilot knows`,
    remedy: () => "IndexPilot supports PostgreSQL 14 to 18; upgrade IndexPilot",
  }),
  extension_missing: entry<{ extension: string; remedy: string }>({
    exitCode: ExitCode.unsuitable,
    retryable: false,
    message: (p) => `the extension ${p.extension} is not installed in this database`,
    remedy: (p) => p.remedy,
  }),
  privilege_missing: entry<{ what: string; grant: string }>({
    exitCode: ExitCode.unsuitable,
    retryable: false,
    message: (p) => p.what,
    remedy: (p) => p.grant,
  }),
  read_only_server: entry<{ what: string }>({
    exitCode: ExitCode.unsuitable,
    retryable: false,
    message: (p) => `${p.what} needs a primary, and this server is a replica`,
    remedy: () => "give the primary's URL with --build-url",
  }),
  read_only_role: entry<{ role: string; database: string }>({
    exitCode: ExitCode.unsuitable,
    retryable: false,
    message: (p) =>
      `transactions of role ${p.role} in database ${p.database} are read-only (default_transaction_read_only)`,
    remedy: () =>
      "where the database is kept read-only for now (a full disk, a move), wait until that is over; where only the role is, alter role … reset default_transaction_read_only",
  }),
  workload_empty: entry<{ detail: string; hint: string }>({
    exitCode: ExitCode.usage,
    retryable: false,
    message: (p) => `there is no statement to work on: ${p.detail}`,
    remedy: (p) => p.hint,
  }),
  nothing_since_change: entry<{ at: string }>({
    exitCode: ExitCode.ok,
    retryable: true,
    message: (p) => `nothing has run since the last change of ${p.at}`,
    remedy: () => "let the application run for a while; `indexpilot verify` finishes pending verdicts",
  }),
  query_file_unparsable: entry<{ file: string; line: number; cause: string }>({
    exitCode: ExitCode.usage,
    retryable: false,
    message: (p) => `${p.file}:${p.line}: not valid SQL: ${p.cause}`,
    remedy: () => "mend the file, or leave it out with --exclude",
  }),
  query_file_not_utf8: entry<{ file: string; line: number }>({
    exitCode: ExitCode.usage,
    retryable: false,
    message: (p) => `${p.file}:${p.line}: not UTF-8`,
    remedy: (p) => `convert it, e.g. from Latin-1: iconv -f LATIN1 -t UTF-8 ${p.file}; or leave it out with --exclude`,
  }),
  file_unusable: entry<{ file: string; cause: string }>({
    exitCode: ExitCode.usage,
    retryable: false,
    message: (p) => `${p.file} cannot be read or written: ${p.cause}`,
    remedy: () => "check the path and its permissions",
  }),
  config_invalid: entry<{ file: string; problems: readonly { line: number; text: string }[] }>({
    exitCode: ExitCode.usage,
    retryable: false,
    message: (p) => p.problems.map(({ line, text }) => `${p.file}:${String(line)}: ${text}`).join("\n"),
    remedy: () => "mend the file; `indexpilot config --explain` lists every key with what it takes and why",
  }),
  experiment_invalid: entry<{ problem: string }>({
    exitCode: ExitCode.usage,
    retryable: false,
    message: (p) => `this experiment cannot be: ${p.problem}`,
    remedy: () => "correct the experiment's description; one experiment per table",
  }),
  call_invalid: entry<{ problem: string }>({
    exitCode: ExitCode.usage,
    retryable: false,
    message: (p) => `this call cannot be recorded: ${p.problem}`,
    remedy: () =>
      "give `at` as a Date (of seconds: new Date(1000 * seconds)), `timeMs` as milliseconds from 0, `rows` from 0 or null, `share` above 0 and up to 1",
  }),
  driver_unknown: entry<Record<string, never>>({
    exitCode: ExitCode.usage,
    retryable: false,
    message: () => "what was given to intercept() is neither node-postgres nor a postgres.js instance",
    remedy: () => "pass the module `pg` (or one with a Client of its own), or the `sql` that postgres() returns",
  }),
  snapshot_unreadable: entry<{ file: string }>({
    exitCode: ExitCode.usage,
    retryable: false,
    message: (p) => `${p.file} is not a snapshot of IndexPilot, or not a whole one`,
    remedy: () => "make one with `indexpilot snapshot --url … --out FILE`",
  }),
  snapshot_newer: entry<{ file: string; version: number }>({
    exitCode: ExitCode.usage,
    retryable: false,
    message: (p) => `${p.file} was written by a newer IndexPilot (format ${p.version})`,
    remedy: () => "upgrade this IndexPilot, or make the snapshot anew with it",
  }),
  embedded_missing: entry<{ major: number; install: string }>({
    exitCode: ExitCode.unsuitable,
    retryable: false,
    message: (p) => `there is no embedded PostgreSQL ${p.major} on this machine`,
    remedy: (p) => p.install,
  }),
  embedded_links_missing: entry<{ directory: string; rebuild: string }>({
    exitCode: ExitCode.unsuitable,
    retryable: false,
    message: (p) =>
      `the embedded PostgreSQL in ${p.directory} lacks its library links (npm's --ignore-scripts skips them)`,
    remedy: (p) => p.rebuild,
  }),
  embedded_directory: entry<{ directory: string; cause: string }>({
    exitCode: ExitCode.failed,
    retryable: false,
    message: (p) => `the embedded PostgreSQL cannot write to ${p.directory}: ${p.cause}`,
    remedy: () => "free some space, or point TMPDIR at a directory that can be written",
  }),
  embedded_start: entry<{ cause: string }>({
    exitCode: ExitCode.failed,
    retryable: false,
    message: (p) => `the embedded PostgreSQL did not start: ${p.cause}`,
    remedy: () => "the lines above are the server's own; `indexpilot doctor` checks the installation",
  }),
  embedded_no_user: entry<Record<string, never>>({
    exitCode: ExitCode.unsuitable,
    retryable: false,
    message: () => "PostgreSQL does not run as root, and this machine has neither a user `postgres` nor `nobody`",
    remedy: () => "create one (useradd --system postgres), or run as an ordinary user",
  }),
  refused: entry<{ reason: string; remedy: string }>({
    exitCode: ExitCode.refused,
    retryable: true,
    message: (p) => `refused: ${p.reason}`,
    remedy: (p) => p.remedy,
  }),
  plan_outdated: entry<{ change: string }>({
    exitCode: ExitCode.refused,
    retryable: false,
    message: (p) => `the database is not what it was when the plan was made: ${p.change}`,
    remedy: () => "make a new plan with `indexpilot advise --out`",
  }),
  index_not_ours: entry<{ index: string }>({
    exitCode: ExitCode.refused,
    retryable: false,
    message: (p) => `${p.index} was not made by IndexPilot, so it is not IndexPilot's to drop`,
    remedy: () =>
      "`indexpilot history` lists what is ours; `indexpilot drop` asks what needs another one, and drops it",
  }),
  installation_copied: entry<{ recorded: string; found: string }>({
    exitCode: ExitCode.refused,
    retryable: false,
    message: (p) =>
      `the schema "indexpilot" here belongs to another database (it was installed on ${p.recorded}; this is ${p.found})`,
    remedy: () =>
      "if this is a copy, drop schema indexpilot cascade here; if the server moved, say so once with --accept-installation",
  }),
  store_newer: entry<{ version: string }>({
    exitCode: ExitCode.unsuitable,
    retryable: false,
    message: (p) => `the schema "indexpilot" was written by a newer IndexPilot (migration ${p.version})`,
    remedy: () => "upgrade this IndexPilot",
  }),
  store_older: entry<{ version: string }>({
    exitCode: ExitCode.unsuitable,
    retryable: false,
    message: (p) => `the schema "indexpilot" was written by an older IndexPilot (migration ${p.version} is missing)`,
    remedy: () => "`indexpilot apply` upgrades it; commands that only read do not change it",
  }),
  store_changed: entry<{ migration: string }>({
    exitCode: ExitCode.failed,
    retryable: false,
    message: (p) => `migration ${p.migration} of schema "indexpilot" differs from the one that was applied`,
    remedy: () => "use the IndexPilot version that installed it, or drop schema indexpilot cascade to begin anew",
  }),
  store_missing: entry<Record<string, never>>({
    exitCode: ExitCode.usage,
    retryable: false,
    message: () => "IndexPilot has not changed anything in this database yet (there is no schema indexpilot)",
    remedy: () => "`indexpilot advise` shows what it would do; `indexpilot apply --yes` does it",
  }),
  relation_locked: entry<Record<string, never>>({
    exitCode: ExitCode.failed,
    retryable: true,
    message: () => "a table of the target is locked exclusively, and we do not queue behind its lock",
    remedy: () => "try again when the ALTER TABLE, VACUUM FULL or REINDEX that holds the lock has ended",
  }),
  interrupted: entry<Record<string, never>>({
    exitCode: ExitCode.interrupted,
    retryable: true,
    message: () => "interrupted",
    remedy: () => "nothing half done is left; run the command again to go on",
  }),
} as const;

export type ErrorCode = keyof typeof catalogue;
type ParametersOf<C extends ErrorCode> = Parameters<(typeof catalogue)[C]["message"]>[0];

/** An operational failure from the catalogue. `message` is for people; match on `code`. */
export class IndexPilotError extends Error {
  override readonly name = "IndexPilotError";
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly exitCode: ExitCode;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, remedy: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.remedy = remedy;
    this.exitCode = catalogue[code].exitCode;
    this.retryable = catalogue[code].retryable;
  }
}

/** Makes (does not throw) the error of a catalogue entry. */
export const failure = <C extends ErrorCode>(
  code: C,
  parameters: ParametersOf<C>,
  cause?: unknown,
): IndexPilotError => {
  const { message, remedy } = catalogue[code] as unknown as Entry<ParametersOf<C>>;
  return new IndexPilotError(
    code,
    message(parameters),
    remedy(parameters),
    cause === undefined ? undefined : { cause },
  );
};
