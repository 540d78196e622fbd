import pg from "pg";
import { failure, IndexPilotError } from "../errors.ts";
import type { ConnectionTarget } from "./connection.ts";
import { quoteLiteral } from "./identifier.ts";
import { classifySqlState, SqlState, sqlStateOf } from "./sqlstate.ts";

/**
 * What a session is for, which decides its time-outs.
 * - `observe`: reads and EXPLAIN; short limits, so that we never queue behind or hold up the application.
 * - `build`: concurrent DDL, which waits for every older transaction; role defaults must not kill it half-way.
 * - `watch`: looks at a build and at who waits for it.
 * - `store`: reads and writes our own schema.
 */
export type Purpose = "observe" | "build" | "watch" | "store";

const timeouts: Record<Purpose, Readonly<Record<string, string>>> = {
  observe: { statement_timeout: "60s", lock_timeout: "200ms", idle_in_transaction_session_timeout: "60s" },
  build: { statement_timeout: "0", lock_timeout: "0", idle_in_transaction_session_timeout: "0" },
  watch: { statement_timeout: "5s", lock_timeout: "200ms", idle_in_transaction_session_timeout: "10s" },
  store: { statement_timeout: "30s", lock_timeout: "10s", idle_in_transaction_session_timeout: "30s" },
};

export type Row = Record<string, unknown>;

/** One connection to one server, with settled time-outs. Not shared between concurrent tasks. */
export interface Session {
  /** The backend's pid by `pg_backend_pid()`. */
  readonly pid: number;
  readonly versionNum: number;
  readonly target: ConnectionTarget;
  /** The driver's client, for the store's query builder. */
  readonly client: pg.Client;
  /** One statement with parameters; rows as objects, with the driver's default types (bigint as text). */
  query<R extends object = Row>(sql: string, parameters?: readonly unknown[]): Promise<R[]>;
  /** Several statements in one round trip by the simple protocol; the rows of each. No parameters. */
  script<R extends object = Row>(sql: string): Promise<R[][]>;
  /** Whether the process stays for this connection, as it does at first. */
  holdProcess(does: boolean): void;
  close(): Promise<void>;
}

const connectionFailure = (target: ConnectionTarget, error: unknown): IndexPilotError => {
  if (error instanceof IndexPilotError) return error;
  const cause = error instanceof Error ? error.message : String(error);
  const state = sqlStateOf(error);
  // PostgreSQL takes every well-formed start of a session; pgbouncer refuses one with options.
  if (state === SqlState.protocolViolation && target.config.options !== undefined)
    return failure("pooler_in_between", {}, error);
  if (state !== null) {
    switch (classifySqlState(state)) {
      case "authentication":
        return failure("authentication_failed", { user: target.user, cause }, error);
      case "catalog":
        return failure("database_missing", { database: target.database }, error);
      case "resources":
        return failure("too_many_connections", { cause }, error);
      case "connection":
      case "other":
        return failure("connection_refused", { host: target.host, port: target.port, cause }, error);
    }
  }
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code === "string" && /^E[A-Z]+$/.test(code)) {
    return failure("connection_refused", { host: target.host, port: target.port, cause: code }, error);
  }
  if (typeof code === "string") return failure("tls_failed", { cause }, error);
  // The driver has no code for "the server wants a password and there is none"; its SCRAM errors all begin so.
  if (cause.startsWith("SASL")) {
    const missing = target.config.password === undefined;
    return failure(
      "authentication_failed",
      { user: target.user, cause: missing ? "the server asks for a password and none was given" : cause },
      error,
    );
  }
  return failure("connection_refused", { host: target.host, port: target.port, cause }, error);
};

const connectOnce = async (target: ConnectionTarget, ssl: pg.ClientConfig["ssl"], name: string): Promise<pg.Client> => {
  const client = new pg.Client({
    ...target.config,
    ...(ssl === undefined ? {} : { ssl }),
    application_name: name,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
  });
  // Without a listener, a connection that dies while idle would end the process; the next query reports it.
  client.on("error", () => undefined);
  try {
    await client.connect();
  } catch (error) {
    // A client that gave up by itself (no password to send) would otherwise keep its socket open, and us alive.
    void client.end().catch(() => undefined);
    throw error;
  }
  return client;
};

const connect = async (target: ConnectionTarget, name: string): Promise<pg.Client> => {
  if (!target.preferTls) return connectOnce(target, target.config.ssl, name);
  try {
    return await connectOnce(target, target.config.ssl, name);
  } catch (error) {
    // An answer of the server, or nobody there: the same without TLS. Anything else: it may be the TLS itself.
    const code = (error as { code?: unknown }).code;
    if (sqlStateOf(error)?.startsWith("28") === false || (typeof code === "string" && /^E[A-Z]+$/.test(code)))
      throw error;
    return connectOnce(target, false, name);
  }
};

/**
 * Opens a session, settles its time-outs and checks what every other part relies on: the version is one we support and
 * no pooler stands in between.
 * @throws IndexPilotError one of the connection errors, `server_too_old`, `server_too_new`, `pooler_in_between`
 */
export const openSession = async (target: ConnectionTarget, purpose: Purpose): Promise<Session> => {
  let client: pg.Client;
  try {
    client = await connect(target, `indexpilot:${purpose}`);
  } catch (error) {
    throw connectionFailure(target, error);
  }
  try {
    const settings = Object.entries(timeouts[purpose])
      .map(([name, value]) => `set ${name} = ${quoteLiteral(value)};`)
      .join(" ");
    const [row] = (
      await client.query<{ pid: number; version_num: string; version: string }>(
        `select pg_backend_pid() as pid, current_setting('server_version_num') as version_num, current_setting('server_version') as version`,
      )
    ).rows;
    if (row === undefined) throw new Error("the server did not tell its version");
    const versionNum = Number(row.version_num);
    if (versionNum < 140_000) throw failure("server_too_old", { version: row.version });
    if (versionNum >= 190_000) throw failure("server_too_new", { version: row.version });
    const announced = (client as unknown as { processID: number | null }).processID;
    if (announced !== row.pid) throw failure("pooler_in_between", {});
    // The driver reads dates in style ISO alone. Which of day and month comes first stays as the role has it: constants of queries are read by it.
    await client.query(
      `${settings} set idle_session_timeout = 0; set standard_conforming_strings = on; set datestyle = 'ISO';`,
    );
    if (versionNum >= 170_000) await client.query("set transaction_timeout = 0");
    return wrap(client, target, row.pid, versionNum);
  } catch (error) {
    await client.end().catch(() => undefined);
    if (error instanceof IndexPilotError) throw error;
    // Without a SQLSTATE it comes from the driver: the connection ended while we settled it.
    throw sqlStateOf(error) === null ? asLost(error) : connectionFailure(target, error);
  }
};

const wrap = (client: pg.Client, target: ConnectionTarget, pid: number, versionNum: number): Session => ({
  pid,
  versionNum,
  target,
  client,
  async query<R extends object>(sql: string, parameters: readonly unknown[] = []) {
    try {
      return (await client.query(sql, [...parameters])).rows as R[];
    } catch (error) {
      throw asLost(error);
    }
  },
  async script<R extends object>(sql: string) {
    try {
      const result = (await client.query(sql)) as pg.QueryResult | pg.QueryResult[];
      return (Array.isArray(result) ? result : [result]).map((one) => one.rows as R[]);
    } catch (error) {
      throw asLost(error);
    }
  },
  holdProcess(does) {
    // Missing in the driver's types.
    const held = client as unknown as { ref(): void; unref(): void };
    if (does) held.ref();
    else held.unref();
  },
  close: () => client.end().catch(() => undefined),
});

// A dead connection shows as SQLSTATE class 08 / 57P0x, or as an error of the socket or the driver without any SQLSTATE.
const asLost = (error: unknown): unknown => {
  const state = sqlStateOf(error);
  if (state !== null && classifySqlState(state) !== "connection") return error;
  return failure("connection_lost", { cause: error instanceof Error ? error.message : String(error) }, error);
};
