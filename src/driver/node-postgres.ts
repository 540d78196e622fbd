import type { Hook, Line, Sent } from "./hook.ts";
import { locateInOriginal } from "./position.ts";
import { codeOf, isRefusal } from "./refusal.ts";
import { hookSubmittable, isSubmittable } from "./submittable.ts";

/** What is used of the module `pg`. */
export interface NodePostgres {
  readonly Client: { readonly prototype: { query: unknown } };
}

interface Client {
  /** Since 8.18: `I` between transactions, `T` in one, `E` in one that failed, null before the first answer. */
  getTransactionStatus?(): string | null;
  readonly pipeline?: boolean;
  /** The class of promises that the client was configured with. */
  readonly _Promise?: PromiseConstructor;
}

type Query = (this: Client, config: unknown, values?: unknown, callback?: unknown) => unknown;
type Callback = (this: unknown, ...results: unknown[]) => unknown;

/** What the first argument may hold, when it is no text. */
interface Config {
  readonly text?: unknown;
  readonly name?: unknown;
  readonly values?: unknown;
  readonly callback?: unknown;
}

interface Outgoing {
  readonly config: string | Config;
  /** The second argument, unless that is the callback. */
  readonly given: unknown;
  readonly callback: Callback | null;
  readonly line: Line;
  /** Whether no transaction was open; null where the driver does not tell. */
  readonly between: boolean | null;
  readonly sent: Sent;
  /** What to send instead. */
  readonly gated: string | Config | null;
  /** Whether the original has been sent after it. */
  repeated: boolean;
}

/** PostgreSQL tells statements by so many bytes of their names. */
const longestName = 63;

/** Replaces `Client.prototype.query`, through which pools, transactions, cursors and streams go as well. Returns what undoes it. */
export const hookNodePostgres = (driver: NodePostgres, hook: Hook): (() => void) => {
  const prototype = driver.Client.prototype as unknown as { query: Query };
  const original = prototype.query;
  const lines = new WeakMap<Client, Line>();
  const lineOf = (client: Client): Line => {
    let line = lines.get(client);
    if (line === undefined) {
      line = hook.line();
      lines.set(client, line);
    }
    return line;
  };

  /** Null for what just goes out. */
  const prepared = (client: Client, config: unknown, values: unknown, callback: unknown): Outgoing | null => {
    if (isSubmittable(config)) {
      hookSubmittable(hook, lineOf(client), config, isBetween(client));
      return null;
    }
    const fields = typeof config === "string" ? none : ((config ?? none) as Config);
    const text = typeof config === "string" ? config : fields.text;
    const called = callback || (typeof values === "function" ? values : fields.callback) || null;
    // What node-postgres will refuse, it shall see as it came.
    if (typeof text !== "string" || (called !== null && typeof called !== "function")) return null;
    const line = lineOf(client);
    const between = isBetween(client);
    const sent = hook.send(line, text, between);
    if (sent === null) return null;
    const given = typeof values === "function" ? undefined : values;
    hook.sample(sent, given ?? fields.values);
    return {
      config: config as string | Config,
      given,
      callback: called as Callback | null,
      line,
      between,
      sent,
      gated: sent.gated === null ? null : withGate(hook, config as string | Config, sent, sent.gated.text),
      repeated: false,
    };
  };

  /**
   * Sends it with a callback of ours, which ends the measurement and passes the answer on. A promise of the driver's, with one of ours behind it, would cost more
   * than all that is measured.
   */
  const measured = (client: Client, outgoing: Outgoing): unknown => {
    const { config, given, callback, line, sent, gated } = outgoing;
    let resolve!: (result: unknown) => void;
    let reject!: (error: unknown) => void;
    const promise =
      callback === null
        ? new (client._Promise ?? Promise)<unknown>((resolved, rejected) => {
            resolve = resolved;
            reject = rejected;
          })
        : null;
    let answers = 0;
    const answer: Callback = function answer(this: unknown, ...results) {
      const sends = outgoing.repeated ? 2 : 1;
      if (answers === sends) return undefined;
      answers = sends;
      const error = results[0];
      if (gated !== null && repeats(client, outgoing, error)) {
        const again = original.call(client, ownConfig(config), given, answer);
        if (promise !== null && isThenable(again)) hear(again, outgoing, answer);
        return undefined;
      }
      hook.done(line, sent, rowsOf(results[1]), codeOf(error));
      if (callback !== null) return callback.apply(this, results);
      if (error) void rejectWithOwnStack(error, resolve, reject);
      else resolve(results[1]);
      return undefined;
    };
    let returned: unknown;
    try {
      returned = original.call(client, gated ?? ownConfig(config), given, answer);
    } catch (error) {
      hook.done(line, sent, null, codeOf(error));
      throw error;
    }
    if (promise === null) return returned;
    if (isThenable(returned)) hear(returned, outgoing, answer);
    return promise;
  };

  /**
   * Whether the original is sent in place of the text with the gate: what the server refuses to plan has done nothing, where no transaction has failed by it
   * and nothing waits behind it.
   */
  const repeats = (client: Client, outgoing: Outgoing, error: unknown): boolean => {
    const { line, sent, between } = outgoing;
    if (outgoing.repeated) {
      if (codeOf(error) === null) hook.refuse(sent);
      hook.withhold(sent, "refused by the server");
    } else if (isRefusal(error)) {
      outgoing.repeated = between === true && line.pending === 1 && client.pipeline !== true;
      if (outgoing.repeated) return true;
      hook.refuse(sent);
    }
    if (sent.gated !== null) locateInOriginal(error, sent.gated);
    return false;
  };

  const query: Query = function query(this: Client, config, values, callback) {
    let outgoing: Outgoing | null = null;
    try {
      outgoing = prepared(this, config, values, callback);
    } catch {
      // Whatever it is, it is ours: the statement goes out as it came.
      hook.failed();
    }
    return outgoing === null ? original.call(this, config, values, callback) : measured(this, outgoing);
  };
  prototype.query = query;
  return () => {
    // Where somebody else has put theirs over ours, ours stays and lets everything through.
    if (prototype.query === query) prototype.query = original;
  };
};

const none: Config = {};

/** Null where the client does not tell. */
const isBetween = (client: Client): boolean | null => {
  const status = client.getTransactionStatus?.();
  return status === undefined ? null : status === "I";
};

/**
 * As the driver does it, the stack of an error leads to the code that waits for the answer and not to the socket: it is taken anew on the way, where the engine
 * still knows who waits.
 */
const rejectWithOwnStack = async (
  reason: unknown,
  resolve: (result: never) => void,
  reject: (reason: unknown) => void,
): Promise<void> => {
  const failing = Promise.reject(reason as Error).catch((failed: unknown) => {
    if (failed instanceof Error) Error.captureStackTrace(failed);
    throw failed;
  });
  await failing.then(resolve, reject);
};

/** Whatever stands between us and the driver may know promises alone, or promise nothing and call back, or do both. */
const hear = (returned: PromiseLike<unknown>, outgoing: Outgoing, answer: Callback): void => {
  const { repeated } = outgoing;
  const settled = (...results: unknown[]): void => {
    if (outgoing.repeated === repeated) answer(...results);
  };
  returned.then((result) => (result === undefined ? undefined : settled(null, result)), settled);
};

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as PromiseLike<unknown> | null | undefined)?.then === "function";

/** The statement with the gate, under a name of its own where it has one; null where it goes out as it is. */
const withGate = (hook: Hook, config: string | Config, sent: Sent, text: string): string | Config | null => {
  if (typeof config === "string") return text;
  const { name } = config;
  if (typeof name !== "string" || name === "") return derived(config, { text });
  // node-postgres refuses a second text under one name; the two arms have one each.
  const gatedName = `${name}~${sent.mark}`;
  if (Buffer.byteLength(gatedName) <= longestName) return derived(config, { text, name: gatedName });
  hook.withhold(sent, "long statement name");
  return null;
};

/** Some versions of node-postgres write the callback into what they are given. */
const ownConfig = (config: string | Config): string | Config =>
  typeof config === "string" ? config : isPlain(config) ? { ...config } : derived(config, none);

const isPlain = (config: Config): boolean => Object.getPrototypeOf(config) === Object.prototype;

/** The same with changes, and with nothing written to the original, which may have accessors or be frozen. */
const derived = (config: Config, changes: Config): Config => {
  if (isPlain(config)) return { ...config, ...changes };
  const result = Object.create(config) as Config;
  for (const [key, value] of Object.entries(changes)) {
    Object.defineProperty(result, key, { value, enumerable: true, configurable: true, writable: true });
  }
  return result;
};

const rowsOf = (result: unknown): number | null => {
  if (Array.isArray(result)) return result.reduce<number>((sum, one) => sum + (rowsOf(one) ?? 0), 0);
  const rows = (result as { rowCount?: unknown } | null | undefined)?.rowCount;
  return typeof rows === "number" ? rows : null;
};
