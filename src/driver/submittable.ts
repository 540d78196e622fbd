import type { Hook, Line } from "./hook.ts";
import { locateInOriginal } from "./position.ts";
import { codeOf } from "./refusal.ts";

/** A query object: `pg.Query`, a cursor of pg-cursor, a stream of pg-query-stream or pg-copy-streams. */
export interface Submittable {
  submit(this: unknown, connection: unknown): unknown;
  text?: unknown;
  readonly name?: unknown;
  readonly values?: unknown;
  /** A stream's text is its cursor's. */
  readonly cursor?: { text?: unknown; readonly values?: unknown };
}

type Method = (...args: unknown[]) => unknown;

export const isSubmittable = (config: unknown): config is Submittable =>
  typeof config === "object" && config !== null && typeof (config as Submittable).submit === "function";

/**
 * Measures a query object by the calls that the client makes on it, and lends it the text with the gate while it submits itself. Listeners are not
 * used: one for errors would change what an error without listeners does.
 */
export const hookSubmittable = (hook: Hook, line: Line, query: Submittable, between: boolean | null): void => {
  const holder = typeof query.text === "string" ? query : query.cursor;
  if (holder === undefined || typeof holder.text !== "string" || !Object.isExtensible(query)) return;
  const { text } = holder;
  const known = hook.read(text);
  if (known === null) return;
  const draft = hook.begin(line, known, between);
  hook.sample(known, holder.values);
  if (typeof query.name === "string" && query.name !== "") hook.withhold(draft, "named query object");
  const gated = hook.gate(known, draft);

  let at = hook.now();
  let rows = 0;
  let firstAt: number | undefined;
  const own = query as unknown as Record<string, Method | undefined>;
  const undo: (() => void)[] = [];
  const around = (name: string, made: (method: Method) => Method): void => {
    const method = own[name];
    if (typeof method !== "function") return;
    const present = Object.getOwnPropertyDescriptor(query, name);
    Object.defineProperty(query, name, {
      configurable: true,
      enumerable: false,
      writable: true,
      value: made(method),
    });
    undo.push(() => {
      if (present === undefined) Reflect.deleteProperty(query, name);
      else Object.defineProperty(query, name, present);
    });
  };
  const restore = (): void => {
    for (const one of undo.splice(0)) one();
  };
  const before = (name: string, act: (first: unknown) => void): void =>
    around(name, (method) => (...args) => {
      act(args[0]);
      return method.apply(query, args);
    });
  const end = (error: unknown): void => {
    restore();
    if (gated !== null) locateInOriginal(error, gated);
    hook.done(line, draft, at, rows, codeOf(error), firstAt);
  };

  try {
    around("submit", (method) => (...args) => {
      at = hook.now();
      if (gated === null) return method.apply(query, args);
      holder.text = gated.text;
      try {
        return method.apply(query, args);
      } finally {
        holder.text = text;
      }
    });
    before("handleDataRow", () => {
      rows += 1;
    });
    before("handlePortalSuspended", () => {
      firstAt ??= hook.now();
    });
    before("handleError", end);
    before("handleReadyForQuery", () => end(null));
  } catch {
    // One of its methods cannot be replaced.
    restore();
    hook.abandon(line, draft);
  }
};
