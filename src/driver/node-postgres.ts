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
}

type Query = (this: Client, config: unknown, values?: unknown, callback?: unknown) => unknown;
type Callback = (this: unknown, ...results: unknown[]) => unknown;

/** What a call asks for, as node-postgres would understand it. */
interface Statement {
  readonly config: string | object;
  readonly text: string;
  readonly name: string | null;
  /** The second argument, unless that is the callback. */
  readonly given: unknown;
  readonly values: unknown;
  readonly callback: Callback | null;
}

interface Prepared {
  readonly statement: Statement;
  readonly line: Line;
  /** Whether no transaction was open. */
  readonly between: boolean;
  readonly sent: Sent;
  /** What to send instead. */
  readonly gated: string | object | null;
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
  const prepared = (client: Client, config: unknown, values: unknown, callback: unknown): Prepared | null => {
    if (isSubmittable(config)) {
      hookSubmittable(hook, lineOf(client), config, isBetween(client));
      return null;
    }
    const statement = statementOf(config, values, callback);
    if (statement === null) return null;
    const line = lineOf(client);
    const between = isBetween(client);
    const sent = hook.send(line, statement.text, between);
    if (sent === null) return null;
    hook.sample(sent, statement.values);
    return { statement, line, between, sent, gated: sent.gated === null ? null : withGate(hook, statement, sent) };
  };

  const measured = (client: Client, { statement, line, between, sent, gated }: Prepared): unknown => {
    const { config, given, callback } = statement;
    try {
      if (gated !== null) return measuredWithGate(client, statement, gated, line, sent, between);
      if (callback === null) {
        return (original.call(client, config, given) as Promise<unknown>).then(
          (result) => {
            hook.done(line, sent, rowsOf(result), null);
            return result;
          },
          (error: unknown) => {
            hook.done(line, sent, null, codeOf(error));
            throw error;
          },
        );
      }
      return original.call(client, ownConfig(config), given, function answer(this: unknown, ...results: unknown[]) {
        hook.done(line, sent, rowsOf(results[1]), codeOf(results[0]));
        return callback.apply(this, results);
      });
    } catch (error) {
      hook.done(line, sent, null, codeOf(error));
      throw error;
    }
  };

  /**
   * What the server refuses to plan has done nothing: where no transaction has failed by it and nothing waits behind it, the original is sent in its
   * place.
   */
  const measuredWithGate = (
    client: Client,
    { config, given, callback }: Statement,
    gated: string | object,
    line: Line,
    sent: Sent,
    between: boolean,
  ): unknown => {
    let repeated = false;
    const repeats = (error: unknown): boolean => {
      if (repeated || !isRefusal(error)) return false;
      repeated = between && line.pending === 1 && client.pipeline !== true;
      if (!repeated) hook.refuse(sent);
      return repeated;
    };
    const done = (error: unknown, result: unknown): void => {
      if (repeated) {
        if (codeOf(error) === null) hook.refuse(sent);
        hook.withhold(sent, "refused by the server");
      }
      if (sent.gated !== null) locateInOriginal(error, sent.gated);
      hook.done(line, sent, rowsOf(result), codeOf(error));
    };
    if (callback === null) {
      const succeeded = (result: unknown): unknown => {
        done(null, result);
        return result;
      };
      const failed = (error: unknown): unknown => {
        if (repeats(error)) return (original.call(client, config, given) as Promise<unknown>).then(succeeded, failed);
        done(error, null);
        throw error;
      };
      return (original.call(client, gated, given) as Promise<unknown>).then(succeeded, failed);
    }
    const answer: Callback = function answer(this: unknown, ...results) {
      if (repeats(results[0])) return original.call(client, ownConfig(config), given, answer);
      done(results[0], results[1]);
      return callback.apply(this, results);
    };
    return original.call(client, gated, given, answer);
  };

  const query: Query = function query(this: Client, config, values, callback) {
    let outgoing: Prepared | null = null;
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

/** Null for what node-postgres will refuse: it shall see it as it came. */
const statementOf = (config: unknown, values: unknown, callback: unknown): Statement | null => {
  const fields: { text?: unknown; name?: unknown; values?: unknown; callback?: unknown } =
    typeof config === "string" ? { text: config } : (config ?? {});
  const given = typeof values === "function" ? undefined : values;
  const called = callback || (typeof values === "function" ? values : fields.callback) || null;
  if (typeof fields.text !== "string" || (called !== null && typeof called !== "function")) return null;
  return {
    config: config as string | object,
    text: fields.text,
    name: typeof fields.name === "string" && fields.name !== "" ? fields.name : null,
    given,
    values: given ?? fields.values,
    callback: called as Callback | null,
  };
};

const isBetween = (client: Client): boolean => client.getTransactionStatus?.() === "I";

/** The statement with the gate, under a name of its own where it has one; null where it goes out as it is. */
const withGate = (hook: Hook, { config, name }: Statement, sent: Sent): string | object | null => {
  if (sent.gated === null) return null;
  const { text } = sent.gated;
  if (typeof config === "string") return text;
  if (name === null) return derived(config, { text });
  // node-postgres refuses a second text under one name; the two arms have one each.
  const gatedName = `${name}~${sent.mark}`;
  if (Buffer.byteLength(gatedName) <= longestName) return derived(config, { text, name: gatedName });
  hook.withhold(sent, "long statement name");
  return null;
};

/** Some versions of node-postgres write the callback into what they are given. */
const ownConfig = (config: string | object): string | object =>
  typeof config === "string" ? config : derived(config, {});

/** The same with changes, and with nothing written to the original, which may have accessors or be frozen. */
const derived = (config: object, changes: Readonly<Record<string, string>>): object => {
  if (Object.getPrototypeOf(config) === Object.prototype) return { ...config, ...changes };
  const result = Object.create(config) as object;
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
