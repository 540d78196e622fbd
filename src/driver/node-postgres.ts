import type { Draft, Hook, Line } from "./hook.ts";
import type { GatedText, ReadText } from "./reading.ts";
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

/** A call of the application's. */
interface Call {
  readonly client: Client;
  readonly config: string | Config;
  readonly given: unknown;
  /** Whether the application gave no callback, so that a promise may be all that comes back. */
  readonly hears: boolean;
}

/** A statement that was sent with the gate. */
interface Gated {
  readonly known: ReadText;
  readonly draft: Draft;
  readonly gated: GatedText;
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
  const newLine = (client: Client): Line => {
    const line = hook.line();
    Object.defineProperty(client, key, { value: line });
    return line;
  };
  const lineOf = (client: Client): Line => (client[key] as Line | undefined) ?? newLine(client);

  /**
   * What answers a statement with the gate: where the server refused to plan that text, which has done nothing, and no transaction has failed by it and nothing
   * waits behind it, the original is sent in its place, and what answers that counts.
   */
  const answerToGated = (
    { client, config, given, hears }: Call,
    line: Line,
    { known, draft, gated }: Gated,
    answer: Callback,
  ): Callback => {
    const between = isBetween(client);
    return once(function answered(this: unknown, error, result) {
      if (isRefusal(error)) {
        if (between === true && line.pending === 1 && client.pipeline !== true) {
          const answerToOriginal = once(function answeredToo(this: unknown, own, rows) {
            if (codeOf(own) === null) hook.refuse(known);
            hook.withhold(draft, "refused by the server");
            return answer.call(this, own, rows);
          });
          const returned = original.call(client, ownConfig(config), given, answerToOriginal);
          if (hears) hear(returned, answerToOriginal);
          return undefined;
        }
        hook.refuse(known);
      }
      locateInOriginal(error, gated);
      return answer.call(this, error, result);
    });
  };

  /**
   * Sends it with a callback of ours, which ends the measurement and passes the answer on. A promise of the driver's, with one of ours behind it, would cost more
   * than all that is measured.
   */
  const query: Query = function query(this: Client, config, values, callback) {
    let line!: Line;
    let known: ReadText | null = null;
    let begun: Draft | null = null;
    let gated: GatedText | null = null;
    let called: Callback | null = null;
    let own = config as string | Config;
    const given = typeof values === "function" ? undefined : values;
    try {
      if (typeof config !== "string" && isSubmittable(config)) {
        hookSubmittable(hook, lineOf(this), config, isBetween(this));
      } else {
        const fields = typeof config === "string" ? none : ((config ?? none) as Config);
        const text = typeof config === "string" ? config : fields.text;
        // As node-postgres looks for it; what it will refuse, it shall see as it came.
        called = (callback || (typeof values === "function" ? values : fields.callback) || null) as Callback | null;
        if (typeof text === "string" && (called === null || typeof called === "function")) known = hook.read(text);
        if (known !== null) {
          line = lineOf(this);
          begun = hook.begin(line, known, isBetween(this));
          hook.sample(known, given ?? fields.values);
          gated = hook.gate(known, begun);
          if (gated !== null) own = withGate(hook, own, begun, gated);
          else if (typeof own !== "string") own = ownConfig(own);
        }
      }
    } catch {
      // Whatever it is, it is ours: the statement goes out as it came.
      if (begun === null) hook.failed();
      else hook.abandon(line, begun);
      begun = null;
    }
    if (begun === null || known === null) return original.call(this, config, values, callback);

    const draft = begun;
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
      hook.done(line, draft, at, rowsOf(result), codeOf(error));
      if (called !== null) return error ? called.call(this, error) : called.call(this, error, result);
      if (error) void rejectWithOwnStack(error, resolve, reject);
      else resolve(result);
      return undefined;
    };
    const first =
      gated === null || !draft.gated
        ? answer
        : answerToGated(
            { client: this, config: config as string | Config, given, hears: promise !== null },
            line,
            { known, draft, gated },
            answer,
          );
    const at = hook.now();
    try {
      const returned = original.call(this, own, given, first);
      if (promise === null) return returned;
      if (isThenable(returned)) hear(returned, first);
      return promise;
    } catch (error) {
      hook.done(line, draft, at, null, codeOf(error));
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

/** The statement with the gate, under a name of its own where it has one; as it came where that name has no room. */
const withGate = (hook: Hook, config: string | Config, draft: Draft, { text, mark }: GatedText): string | Config => {
  if (typeof config === "string") return text;
  const { name } = config;
  if (typeof name !== "string" || name === "") return derived(config, { text });
  // node-postgres refuses a second text under one name; the two arms have one each.
  const gatedName = `${name}~${mark}`;
  if (Buffer.byteLength(gatedName) <= longestName) return derived(config, { text, name: gatedName });
  hook.withhold(draft, "long statement name");
  return ownConfig(config);
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
  const rows = (result as { rowCount?: unknown } | null | undefined)?.rowCount;
  return typeof rows === "number" ? rows : Array.isArray(result) ? rowsOfAll(result) : null;
};

const rowsOfAll = (results: readonly unknown[]): number =>
  results.reduce<number>((sum, one) => sum + (rowsOf(one) ?? 0), 0);
