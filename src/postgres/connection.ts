import type { ClientConfig } from "pg";
import { parse, toClientConfig } from "pg-connection-string";
import { failure } from "../errors.ts";

/** Everything needed to open sessions of one role on one database. Never log it whole: it holds the password. */
export interface ConnectionTarget {
  readonly config: ClientConfig;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  /** libpq's default: encrypt if the server can, plain otherwise. */
  readonly preferTls: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

const sslModes = new Set(["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]);

/**
 * Reads a URL with libpq's rules; what it leaves out comes from libpq's environment (PGHOST, PGPORT, PGUSER, PGDATABASE,
 * PGPASSWORD, PGSSLMODE, PGSSLROOTCERT, PGSSLCERT, PGSSLKEY). `~/.pgpass` is read by the driver.
 * @throws IndexPilotError `bad_url`
 */
export const resolveConnection = (url: string | undefined, environment: Environment): ConnectionTarget => {
  const text = url ?? "postgres:///";
  if (!/^postgres(ql)?:\/\//.test(text)) {
    throw failure("bad_url", { problem: "it does not begin with postgres:// or postgresql://" });
  }
  const [base = "", query = ""] = text.split("?", 2);
  const parameters = new URLSearchParams(query);
  for (const [name, variable] of [
    ["sslmode", "PGSSLMODE"],
    ["sslrootcert", "PGSSLROOTCERT"],
    ["sslcert", "PGSSLCERT"],
    ["sslkey", "PGSSLKEY"],
  ] as const) {
    const value = environment[variable];
    if (value !== undefined && value !== "" && !parameters.has(name)) parameters.set(name, value);
  }
  const mode = parameters.get("sslmode") ?? "prefer";
  if (!sslModes.has(mode))
    throw failure("bad_url", { problem: `sslmode=${mode} is none of ${[...sslModes].join(", ")}` });
  parameters.set("sslmode", mode === "allow" ? "prefer" : mode);

  let config: ClientConfig;
  try {
    config = toClientConfig(parse(`${base}?${parameters.toString()}`, { useLibpqCompat: true }));
  } catch (error) {
    throw failure("bad_url", { problem: describe(error) });
  }
  const user = config.user || environment["PGUSER"] || environment["USER"] || "postgres";
  const host = config.host || environment["PGHOST"] || "localhost";
  const port = config.port ?? Number(environment["PGPORT"] ?? 5432);
  const database = config.database || environment["PGDATABASE"] || user;
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw failure("bad_url", { problem: `port ${String(port)} is not between 1 and 65535` });
  }
  const password = config.password || environment["PGPASSWORD"];
  delete config.password;
  const isSocket = host.startsWith("/");
  return {
    config: {
      ...config,
      host,
      port,
      user,
      database,
      ...(password ? { password } : {}),
      ...(isSocket ? { ssl: false } : {}),
    },
    host: isSocket || host === "127.0.0.1" || host === "::1" ? "localhost" : host.toLowerCase(),
    port,
    user,
    database,
    preferTls: !isSocket && (mode === "prefer" || mode === "allow"),
  };
};

// The driver's URL errors may quote the URL; the password must not come with them.
const describe = (error: unknown): string => {
  const code = (error as { code?: unknown }).code;
  if (code === "ENOENT") return `a certificate file does not exist: ${(error as { path?: string }).path ?? ""}`;
  if (code === "ERR_INVALID_URL") return "it is not a URL (special characters in the password must be %-encoded)";
  return error instanceof Error && !error.message.includes("://") ? error.message : "it cannot be parsed";
};
