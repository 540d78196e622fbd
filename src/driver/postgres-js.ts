import { spliced } from "../sql/index.ts";
import type { Draft, Hook, Line } from "./hook.ts";
import type { GatedText, ReadText } from "./reading.ts";
import { locateInOriginal } from "./position.ts";
import { codeOf, isRefusal } from "./refusal.ts";

/** What is used of the `sql` that postgres.js returns. */
export type PostgresJs = ((...args: never[]) => unknown) & { readonly unsafe: unknown; readonly begin: unknown };

/** A query of postgres.js: sent when its handler is called, or part of another. */
interface PendingQuery {
  handler: Handler;
  strings: readonly string[];
  readonly args: readonly unknown[];
  readonly tagged: boolean;
  /** There from when it is sent. */
  readonly statement: { readonly string: string } | null;
  readonly cursorRows?: number;
  readonly streaming?: boolean;
  /** Asks for a description, which shows the text. */
  readonly onlyDescribe?: boolean;
  resolve: (result: unknown) => unknown;
  reject: (error: unknown) => unknown;
}

type Handler = ((query: PendingQuery) => unknown) & { debug?: unknown };
type Anything = (...args: unknown[]) => unknown;

export const isPostgresJs = (driver: unknown): driver is PostgresJs =>
  typeof driver === "function" && "unsafe" in driver && "begin" in driver;

const isQuery = (value: unknown): value is PendingQuery =>
  value instanceof Promise && "handler" in value && "strings" in value && Array.isArray(value.strings);

/**
 * The same `sql`, hooked: its statements, those of `begin`, `savepoint` and `reserve`, and `unsafe`. Outside of a transaction nobody tells on which
 * connection a statement will run: each is a unit of its own, and its time includes the wait for a connection. Cursors and streams are given the gate
 * and are not measured; files are left alone.
 */
export const hookPostgresJs = (sql: PostgresJs, hook: Hook): PostgresJs => {
  const root = hook.line();
  const plain = sql as unknown as Anything;
  // The classes of what is no value: a name in quotes, and a list of columns.
  const notValues = [plain("x"), plain(["x"])].map((one) => (one as object).constructor);
  const isFragment = (value: unknown): boolean =>
    isQuery(value) ||
    (Array.isArray(value) && isQuery(value[0])) ||
    notValues.some((made) => typeof value === "object" && value !== null && value.constructor === made);
  const templates = new WeakMap<readonly string[], string>();

  const textOf = (query: PendingQuery): string | null => {
    if (!query.tagged) return query.strings[0] ?? null;
    if (query.args.some(isFragment)) return null;
    let text = templates.get(query.strings);
    if (text === undefined) {
      text = query.strings.map((piece, i) => (i === 0 ? piece : `$${i}${piece}`)).join("");
      templates.set(query.strings, text);
    }
    return text;
  };

  /** A line of its own for one statement or transaction; what one does to the search path, a connection may keep. */
  const lineFor = (): Line => ({ ...root, transaction: (root.transaction += 1), pending: 1 });

  const hooked = (query: PendingQuery, transaction: Line | null): void => {
    const { handler } = query;
    const send: Handler = (sent) => {
      const line = transaction ?? lineFor();
      try {
        follow(sent, line, transaction === null ? handler : null);
      } catch {
        hook.failed();
      }
      return handler(sent);
    };
    send.debug = handler.debug;
    query.handler = send;
  };

  /** `repeat` sends it once more, where that is possible. */
  const follow = (query: PendingQuery, line: Line, repeat: Handler | null): void => {
    if (query.onlyDescribe === true) return;
    line.namesUnclear ||= root.namesUnclear;
    const text = textOf(query);
    const known = text === null ? null : hook.read(text);
    if (text !== null && known === null) return;
    const draft = known === null ? null : begin(line, known);
    const gated = known === null || draft === null ? null : hook.gate(known, draft);
    const { resolve, reject, strings } = query;
    if (known !== null) hook.sample(known, query.args);
    if (gated !== null) query.strings = gatedStrings(query, gated);
    if (query.cursorRows !== undefined || query.streaming === true) return;

    const startedAt = hook.now();
    const done = (result: unknown, error: unknown): void => {
      const measured = draft ?? beginLate(query, line);
      if (measured !== null) hook.done(line, measured, startedAt, rowsOf(result), codeOf(error));
    };
    query.resolve = (result) => {
      done(result, null);
      return resolve(result);
    };
    query.reject = (error) => {
      if (known !== null && draft?.gated === true && isRefusal(error)) {
        hook.refuse(known);
        if (repeat !== null) {
          hook.withhold(draft, "refused by the server");
          query.strings = strings;
          return repeat(query);
        }
      }
      if (gated !== null && draft?.gated === true) locateInOriginal(error, gated);
      done(null, error);
      return reject(error);
    };
  };

  const begin = (line: Line, known: ReadText): Draft => {
    const draft = hook.begin(line, known, false);
    root.namesUnclear ||= line.namesUnclear;
    return draft;
  };

  /** Of what was put together from fragments, the text is known when it has been sent. */
  const beginLate = (query: PendingQuery, line: Line): Draft | null => {
    const known = query.statement === null ? null : hook.read(query.statement.string);
    if (known === null) return null;
    const draft = begin(line, known);
    hook.withhold(draft, "fragments");
    return draft;
  };

  const wrap = <T extends object>(one: T, transaction: Line | null): T => {
    const made = (query: unknown): unknown => {
      if (isQuery(query)) hooked(query, transaction);
      return query;
    };
    const inner = (line: Line, work: unknown): unknown =>
      typeof work === "function" ? (scoped: object) => (work as Anything)(wrap(scoped, line)) : work;
    const replaced: Record<string, (method: Anything) => Anything> = {
      unsafe:
        (method) =>
        (...args) =>
          made(method(...args)),
      begin:
        (method) =>
        (...args) => {
          const line = lineFor();
          return method(...args.map((arg) => inner(line, arg)));
        },
      savepoint:
        (method) =>
        (...args) =>
          method(...args.map((arg) => inner(transaction ?? lineFor(), arg))),
      reserve:
        (method) =>
        async (...args) =>
          wrap((await method(...args)) as object, lineFor()),
    };
    return new Proxy(one, {
      apply: (target, self, args: unknown[]) => made(Reflect.apply(target as unknown as Anything, self, args)),
      get: (target, key, receiver) => {
        const value: unknown = Reflect.get(target, key, receiver);
        const replace = typeof key === "string" && Object.hasOwn(replaced, key) ? replaced[key] : undefined;
        return replace === undefined || typeof value !== "function" ? value : replace(value as Anything);
      },
    });
  };
  return wrap(sql, null);
};

/** The pieces of a template with the gate in them; the parameters between them are where they were. */
const gatedStrings = (query: PendingQuery, { text, splices }: GatedText): readonly string[] => {
  if (!query.tagged) return [text];
  let start = 0;
  const pieces = query.strings.map((piece, i) => {
    if (i > 0) start += `$${i}`.length;
    const from = start;
    start += piece.length;
    const own = splices.filter(({ at }) => at >= from && at <= from + piece.length);
    return spliced(
      piece,
      own.map(({ at, insert }) => ({ at: at - from, insert })),
    );
  });
  return Object.assign(pieces, { raw: pieces });
};

const rowsOf = (result: unknown): number | null => {
  const count = (result as { count?: unknown } | null)?.count;
  return typeof count === "number" ? count : null;
};
