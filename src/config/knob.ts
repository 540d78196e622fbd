import { z } from "zod";
import { IndexPilotError } from "../errors.ts";
import { formatDuration, formatSize, parseDuration, parseSize } from "./units.ts";

/** One number or choice a user may want to change. */
export interface Knob<T> {
  /** Its place in the file, with dots between the levels. */
  readonly path: string;
  readonly default: T;
  /** What may be written, for people. */
  readonly accepts: string;
  /** Why it is there and why this default. */
  readonly why: string;
  /** The command-line flag that outranks the file. */
  readonly flag?: string;
  /** The environment variable that outranks the file. */
  readonly environment?: string;
  /** Checks and reads what the file says. */
  readonly written: z.ZodType<T>;
  /** Checks a value that was read already (a flag's). */
  readonly value: z.ZodType<T>;
  /** The value as one would write it, without secrets. */
  show(value: T): string;
}

interface Common<T> {
  readonly path: string;
  readonly default: T;
  readonly why: string;
  readonly flag?: string;
  readonly environment?: string;
}

interface Bounded extends Common<number> {
  readonly min: number;
  readonly max: number;
}

const bounded = (
  min: number,
  max: number,
  show: (value: number) => string,
  integer: boolean,
): z.ZodType<number, number> => {
  const within = `must be between ${show(min)} and ${show(max)}`;
  const number = z.number("must be a number").min(min, within).max(max, within);
  return integer ? number.int("must be a whole number") : number;
};

/** Reads a text by one of the house's parsers, whose complaint becomes zod's. */
const parsed = (parse: (text: string) => number, value: z.ZodType<number, number>, shape: string): z.ZodType<number> =>
  z
    .string(`must be written as ${shape}`)
    .transform((text, context) => {
      try {
        return parse(text);
      } catch (error) {
        if (!(error instanceof IndexPilotError)) throw error;
        context.addIssue({ code: "custom", message: `${error.message}; ${error.remedy}` });
        return z.NEVER;
      }
    })
    .pipe(value);

const numeric = (
  options: Bounded,
  shape: string,
  show: (value: number) => string,
  written: (value: z.ZodType<number, number>) => z.ZodType<number>,
): Knob<number> => {
  const value = bounded(options.min, options.max, show, shape !== "a share");
  return {
    ...options,
    accepts: `${shape}, ${show(options.min)} to ${show(options.max)}`,
    written: written(value),
    value,
    show,
  };
};

/** Bytes. */
export const size = (options: Bounded): Knob<number> =>
  numeric(options, "a size", formatSize, (value) => parsed(parseSize, value, "250MB or 1GiB"));

/** Milliseconds. */
export const duration = (options: Bounded): Knob<number> =>
  numeric(options, "a time span", formatDuration, (value) => parsed(parseDuration, value, "500ms, 30s, 10m, 2h or 1d"));

export const count = (options: Bounded): Knob<number> => numeric(options, "a whole number", String, (value) => value);

/** A fraction of one. */
export const share = (options: Bounded): Knob<number> => numeric(options, "a share", String, (value) => value);

export const choice = <const T extends string>(options: Common<T> & { readonly of: readonly T[] }): Knob<T> => {
  const value = z.enum(options.of, `must be one of ${options.of.join(", ")}`) as unknown as z.ZodType<T>;
  return { ...options, accepts: options.of.join(", "), written: value, value, show: String };
};

/** A connection URL; its password is never shown. */
export const url = (options: Omit<Common<string | null>, "default">): Knob<string | null> => {
  const value = z.string("must be a text").regex(/^postgres(ql)?:\/\//, "must begin with postgres:// or postgresql://");
  return {
    ...options,
    default: null,
    accepts: "postgres://user@host:5432/database",
    written: value,
    value,
    show: (text) => (text === null ? "not given" : maskPassword(text)),
  };
};

/** A size that may be left unknown. */
export const optionalSize = (options: Omit<Bounded, "default">): Knob<number | null> => {
  const known = size({ ...options, default: options.min });
  return {
    ...known,
    default: null,
    written: known.written,
    value: known.value,
    show: (value) => (value === null ? "unknown" : formatSize(value)),
  };
};

/** A TCP port, or none. */
export const optionalPort = (options: Omit<Common<number | null>, "default">): Knob<number | null> => {
  const port = count({ ...options, default: 1, min: 1, max: 65_535 });
  return { ...port, default: null, show: (value) => (value === null ? "none" : String(value)) };
};

/** Where a secret is found: `env:NAME`, `file:/path`, or, where `plain` lets it, itself. Never shown whole. */
export const reference = (
  options: Omit<Common<string | null>, "default"> & { readonly accepts: string; readonly plain?: RegExp },
): Knob<string | null> => {
  const { plain, ...common } = options;
  const isPlain = (text: string): boolean => plain?.test(text) === true;
  const value = z
    .string("must be a text")
    .refine((text) => /^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/.test(text) || isPlain(text), `takes ${options.accepts}`);
  return {
    ...common,
    default: null,
    written: value,
    value: z.string().min(1),
    show: (text) => (text === null ? "none" : /^(env|file):/.test(text) ? text : "***"),
  };
};

/** A list of records of one shape. */
export const list = <T>(
  options: Omit<Common<readonly T[]>, "default"> & {
    readonly of: z.ZodType<T>;
    readonly accepts: string;
    showOne(value: T): string;
  },
): Knob<readonly T[]> => {
  const value = z.array(options.of, "must be a list");
  return {
    ...options,
    default: [],
    written: value,
    value,
    show: (values) => (values.length === 0 ? "none" : values.map((one) => options.showOne(one)).join("; ")),
  };
};

/** `postgres://ann:secret@h/d?password=x` → `postgres://ann:***@h/d?password=***`. */
export const maskPassword = (text: string): string =>
  text
    .replace(/^([a-z]+:\/\/[^/?#]*?:)[^/?#]*(@)/i, "$1***$2")
    .replaceAll(/([?&](?:password|sslpassword|sslkey)=)[^&]*/gi, "$1***");
