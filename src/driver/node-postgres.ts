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

  /**
   * What answers a statement with the gate: where the server refused to plan that text, which has done nothing, and no transaction has failed by it and nothing
   * waits behind it, `sendOriginal` is called in its place, with what answers that.
   */
  const answerToGated = (
    client: Client,
    line: Line,
    sent: Sent,
    between: boolean | null,
    answer: Callback,
    sendOriginal: (answered: Callback) => void,
  ): Callback =>
    once(function answered(this: unknown, error, result) {
      if (isRefusal(error)) {
        if (between === true && line.pending === 1 && client.pipeline !== true) {
          return sendOriginal(
            once(function answeredToo(this: unknown, own, rows) {
              if (codeOf(own) === null) hook.refuse(sent);
              hook.withhold(sent, "refused by the server");
              return answer.call(this, own, rows);
            }),
          );
        }
        hook.refuse(sent);
      }
      if (sent.gated !== null) locateInOriginal(error, sent.gated);
      return answer.call(this, error, result);
    });

  /**
   * Sends it with a callback of ours, which ends the measurement and passes the answer on. A promise of the driver's, with one of ours behind it, would cost more
   * than all that is measured.
   */
  const query: Query = function query(this: Client, config, values, callback) {
    let sent: Sent | null = null;
    let line!: Line;
    let between: boolean | null = null;
    let called: Callback | null = null;
    let given: unknown;
    let own: unknown;
    try {
      if (isSubmittable(config)) hookSubmittable(hook, lineOf(this), config, isBetween(this));
      else {
        const fields = fieldsOf(config);
        const text = typeof config === "string" ? config : fields.text;
        called = callbackOf(fields, values, callback) as Callback | null;
        // What node-postgres will refuse, it shall see as it came.
        if (typeof text === "string" && (called === null || typeof called === "function")) {
          line = lineOf(this);
          between = isBetween(this);
          sent = hook.send(line, text, between);
          if (sent !== null) {
            given = typeof values === "function" ? undefined : values;
            hook.sample(sent, given ?? fields.values);
            own = sent.gated === null ? null : withGate(hook, config as string | Config, sent, sent.gated.text);
            own ??= ownConfig(config as string | Config);
          }
        }
      }
    } catch {
      // Whatever it is, it is ours: the statement goes out as it came.
      if (sent === null) hook.failed();
      else hook.abandon(line, sent);
      sent = null;
    }
    if (sent === null) return original.call(this, config, values, callback);

    const measured = sent;
    let resolve!: (result: unknown) => void;
    let reject!: (error: unknown) => void;
    const promise =
      called === null
        ? new (this._Promise ?? Promise)<unknown>((resolved, rejected) => {
            resolve = resolved;
            reject = rejected;
          })
        : null;
    let isAnswered = false;
    // Two arguments and no more, which is what the driver passes: a list of all would cost as much as reading the clock.
    const answer: Callback = function answer(this: unknown, error, result) {
      if (isAnswered) return undefined;
      isAnswered = true;
      hook.done(line, measured, rowsOf(result), codeOf(error));
      if (called !== null) return error ? called.call(this, error) : called.call(this, error, result);
      if (error) void rejectWithOwnStack(error, resolve, reject);
      else resolve(result);
      return undefined;
    };
    try {
      let first = answer;
      if (sent.gated !== null) {
        first = answerToGated(this, line, sent, between, answer, (again) => {
          const returned = original.call(this, ownConfig(config as string | Config), given, again);
          if (promise !== null) hear(returned, again);
        });
      }
      const returned = original.call(this, own, given, first);
      if (promise === null) return returned;
      hear(returned, first);
      return promise;
    } catch (error) {
      hook.done(line, sent, null, codeOf(error));
      throw error;
    }
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

/** Whatever stands between us and the driver may know promises alone, or promise nothing and call back, or do both: then the first counts. */
const hear = (returned: unknown, answer: Callback): void => {
  if (!isThenable(returned)) return;
  returned.then(
    (result) => (result === undefined ? undefined : answer(null, result)),
    (error: unknown) => answer(error),
  );
};

const once = (callback: Callback): Callback => {
  let isCalled = false;
  return function called(this: unknown, error, result) {
    if (isCalled) return undefined;
    isCalled = true;
    return callback.call(this, error, result);
  };
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
