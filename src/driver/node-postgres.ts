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
  /** Ours, see {@link hookNodePostgres}. */
  readonly [line: symbol]: unknown;
}

type Query = (this: Client, config: unknown, values?: unknown, callback?: unknown) => unknown;
type Callback = (this: unknown, error: unknown, result?: unknown) => unknown;

/** What the first argument may hold, when it is no text. */
interface Config {
  readonly text?: unknown;
  readonly name?: unknown;
  readonly values?: unknown;
  readonly callback?: unknown;
}

/** A statement that goes out with the gate in it. */
interface Gated {
  readonly config: string | Config;
  /** Whether no transaction was open; null where the driver does not tell. */
  readonly between: boolean | null;
  /** Whether the original has been sent after it. */
  repeated: boolean;
}

/** PostgreSQL tells statements by so many bytes of their names. */
const longestName = 63;

/**
 * Replaces `Client.prototype.query`, through which pools, transactions, cursors and streams go as well. Returns what undoes it. What stands here is run between
 * two queries, with nothing of it in the processor's caches: each function, object and table more is paid for.
 */
export const hookNodePostgres = (driver: NodePostgres, hook: Hook): (() => void) => {
  const prototype = driver.Client.prototype as unknown as { query: Query };
  const original = prototype.query;
  // Found faster on the client itself than in a table of clients.
  const key = Symbol("indexpilot");
  const lineOf = (client: Client): Line => {
    const known = client[key];
    if (known !== undefined) return known as Line;
    const line = hook.line();
    Object.defineProperty(client, key, { value: line });
    return line;
  };

  /** Null for what just goes out. */
  const taken = (client: Client, config: unknown, values: unknown, callback: unknown): Sent | null => {
    if (isSubmittable(config)) {
      hookSubmittable(hook, lineOf(client), config, isBetween(client));
      return null;
    }
    const fields = fieldsOf(config);
    const text = typeof config === "string" ? config : fields.text;
    const called = callbackOf(fields, values, callback);
    // What node-postgres will refuse, it shall see as it came.
    if (typeof text !== "string" || (called !== null && typeof called !== "function")) return null;
    const sent = hook.send(lineOf(client), text, isBetween(client));
    if (sent !== null) hook.sample(sent, (typeof values === "function" ? undefined : values) ?? fields.values);
    return sent;
  };

  /**
   * Sends it with a callback of ours, which ends the measurement and passes the answer on. A promise of the driver's, with one of ours behind it, would cost more
   * than all that is measured.
   */
  const measured = (
    client: Client,
    sent: Sent,
    config: string | Config,
    values: unknown,
    callbackGiven: unknown,
    own: string | Config,
    gated: Gated | null,
  ): unknown => {
    const line = lineOf(client);
    const callback = callbackOf(fieldsOf(config), values, callbackGiven) as Callback | null;
    const given = typeof values === "function" ? undefined : values;
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
    // Two arguments and no more, which is what the driver passes: a list of all would cost as much as reading the clock.
    const answer: Callback = function answer(this: unknown, error, result) {
      const sends = gated?.repeated === true ? 2 : 1;
      if (answers === sends) return undefined;
      answers = sends;
      if (gated !== null && repeats(client, line, sent, gated, error)) {
        const again = original.call(client, ownConfig(config), given, answer);
        if (promise !== null && isThenable(again)) hear(again, gated, answer);
        return undefined;
      }
      hook.done(line, sent, rowsOf(result), codeOf(error));
      if (callback !== null) return error ? callback.call(this, error) : callback.call(this, error, result);
      if (error) void rejectWithOwnStack(error, resolve, reject);
      else resolve(result);
      return undefined;
    };
    let returned: unknown;
    try {
      returned = original.call(client, own, given, answer);
    } catch (error) {
      hook.done(line, sent, null, codeOf(error));
      throw error;
    }
    if (promise === null) return returned;
    if (isThenable(returned)) hear(returned, gated, answer);
    return promise;
  };

  /**
   * Whether the original is sent in place of the text with the gate: what the server refuses to plan has done nothing, where no transaction has failed by it
   * and nothing waits behind it.
   */
  const repeats = (client: Client, line: Line, sent: Sent, gated: Gated, error: unknown): boolean => {
    if (gated.repeated) {
      if (codeOf(error) === null) hook.refuse(sent);
      hook.withhold(sent, "refused by the server");
    } else if (isRefusal(error)) {
      gated.repeated = gated.between === true && line.pending === 1 && client.pipeline !== true;
      if (gated.repeated) return true;
      hook.refuse(sent);
    }
    if (sent.gated !== null) locateInOriginal(error, sent.gated);
    return false;
  };

  const query: Query = function query(this: Client, config, values, callback) {
    const given = config as string | Config;
    let sent: Sent | null = null;
    let gated: Gated | null = null;
    let own = given;
    try {
      sent = taken(this, config, values, callback);
      if (sent !== null) {
        if (sent.gated !== null) gated = withGate(hook, this, given, sent, sent.gated.text);
        own = gated?.config ?? ownConfig(given);
      }
    } catch {
      // Whatever it is, it is ours: the statement goes out as it came.
      hook.failed();
      if (sent !== null) lineOf(this).pending -= 1;
      sent = null;
    }
    return sent === null
      ? original.call(this, config, values, callback)
      : measured(this, sent, given, values, callback, own, gated);
  };
  prototype.query = query;
  return () => {
    // Where somebody else has put theirs over ours, ours stays and lets everything through.
    if (prototype.query === query) prototype.query = original;
  };
};

const none: Config = {};

const fieldsOf = (config: unknown): Config => (typeof config === "string" ? none : (config ?? none));

/** As node-postgres looks for it; null for none. */
const callbackOf = (fields: Config, values: unknown, callback: unknown): unknown =>
  callback || (typeof values === "function" ? values : fields.callback) || null;

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
const hear = (returned: PromiseLike<unknown>, gated: Gated | null, answer: Callback): void => {
  const repeated = gated?.repeated;
  const settled = (error: unknown, result?: unknown): void => {
    if (gated?.repeated === repeated) answer(error, result);
  };
  returned.then((result) => (result === undefined ? undefined : settled(null, result)), settled);
};

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as PromiseLike<unknown> | null | undefined)?.then === "function";

/** The statement with the gate, under a name of its own where it has one; null where it goes out as it is. */
const withGate = (hook: Hook, client: Client, config: string | Config, sent: Sent, text: string): Gated | null => {
  const gated = (changed: string | Config): Gated => ({ config: changed, between: isBetween(client), repeated: false });
  if (typeof config === "string") return gated(text);
  const { name } = config;
  if (typeof name !== "string" || name === "") return gated(derived(config, { text }));
  // node-postgres refuses a second text under one name; the two arms have one each.
  const gatedName = `${name}~${sent.mark}`;
  if (Buffer.byteLength(gatedName) <= longestName) return gated(derived(config, { text, name: gatedName }));
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
