import { type Clock, seedFrom } from "../runtime/index.ts";
import {
  addGate,
  fingerprintOf,
  type Gate,
  gateCondition,
  type GateSkip,
  mentions,
  type ParsedStatement,
  parseStatement,
  type Shape,
  shapeOf,
  type Splice,
  spliced,
} from "../sql/index.ts";
import { BoundedCache } from "./bounded.ts";
import type { Arm, GateExperiment } from "./experiment.ts";

/** What is known of a statement's text. */
export interface Reading {
  readonly fingerprint: string | null;
  /** False where the text was not looked at, to save time. */
  readonly read: boolean;
  /** Whether it may change what bare names mean on its connection. */
  readonly changesNames: boolean;
  /** The experiment whose table it scans. */
  readonly experiment: GateExperiment | null;
  /** That experiment's own, for its draws. */
  readonly seed: number;
  /** What each arm states; null for what states nothing. */
  readonly arms: Readonly<Record<Arm, ArmReading | null>>;
}

/** What an arm makes of a statement. */
export interface ArmReading {
  /** Where its gate goes; null where it cannot be added. */
  readonly splices: readonly Splice[] | null;
  /** Whether the gate is right only while bare names mean what they meant. */
  readonly bareName: boolean;
  readonly skipped: readonly GateSkip[];
  /** Some characters that tell its gate from others. */
  readonly mark: string;
}

/** A text with the gate in it. */
export interface GatedText {
  readonly text: string;
  /** What it has that the original has not. */
  readonly splices: readonly Splice[];
}

/** A text, and what is known of its shape. */
export interface ReadText {
  readonly reading: Reading;
  /** Null where the arm's gate cannot be added. Made when it is asked for. */
  readonly gated: (arm: Arm) => GatedText | null;
}

export type ReadStatement = (text: string) => ReadText;

/** Shapes and texts that are remembered, each. An application has hundreds. */
const remembered = 2_000;
/** UTF-16 units; longer texts are neither parsed nor remembered. */
const longest = 20_000;
/** New texts that may be parsed: 50 a second take two or three hundredths of a core, and an application that starts has many at once. */
const parsesPerSecond = 50;
const parsesAtOnce = 300;

const namesChanger = /search_path|set_config/i;
/** In what is no plain query; there, `role` is no column. `set schema` is the search path, too. */
const namesCommand = /\btemp(?:orary)?\b|pg_temp|\bschema\b|\brole\b|\bauthorization\b|\bdiscard\b/i;

const unread: ReadText = {
  reading: {
    fingerprint: null,
    read: false,
    changesNames: false,
    experiment: null,
    seed: 0,
    arms: { treatment: null, control: null },
  },
  gated: () => null,
};

/** Reads texts for the given experiments, each shape once. */
export const statementReader = (experiments: readonly GateExperiment[], clock: Clock): ReadStatement => {
  const texts = new BoundedCache<ReadText>(remembered);
  const shapes = new BoundedCache<Reading>(remembered);
  let parses = parsesAtOnce;
  let refilledAt = clock.monotonicMs();

  const mayParse = (): boolean => {
    const now = clock.monotonicMs();
    parses = Math.min(parsesAtOnce, parses + ((now - refilledAt) / 1000) * parsesPerSecond);
    refilledAt = now;
    if (parses < 1) return false;
    parses -= 1;
    return true;
  };

  return (text) => {
    const known = texts.get(text);
    if (known !== undefined) return known;
    if (text.length > longest) return withNames(text);
    const shape = shapeOf(text);
    const same = shape === null || shape.key === text;
    const shaped = same ? undefined : shapes.get(shape.key);
    if (shaped !== undefined) return { reading: shaped, gated: (arm) => gatedText(shaped, arm, text, shape) };
    if (!mayParse()) return withNames(text);
    if (same) {
      const reading = readText(text, experiments);
      const gated = {
        treatment: gatedText(reading, "treatment", text, null),
        control: gatedText(reading, "control", text, null),
      };
      const result: ReadText = { reading, gated: (arm) => gated[arm] };
      texts.set(text, result);
      return result;
    }
    const reading = readText(shape.key, experiments);
    shapes.set(shape.key, reading);
    return { reading, gated: (arm) => gatedText(reading, arm, text, shape) };
  };
};

const withNames = (text: string): ReadText =>
  namesChanger.test(text) || namesCommand.test(text)
    ? { ...unread, reading: { ...unread.reading, changesNames: true } }
    : unread;

const gatedText = ({ arms }: Reading, arm: Arm, text: string, shape: Shape | null): GatedText | null => {
  const splices = arms[arm]?.splices ?? null;
  if (splices === null) return null;
  const own = shape === null ? splices : splices.map(({ at, insert }) => ({ at: shape.positionInText(at), insert }));
  return { text: spliced(text, own), splices: own };
};

const readText = (text: string, experiments: readonly GateExperiment[]): Reading => {
  const parsed = parseStatement(text);
  const statement = parsed.kind === "parsed" ? parsed.statement : null;
  const base = {
    fingerprint: statement === null ? null : fingerprintOf(statement),
    read: true,
    changesNames: namesChanger.test(text) || ((statement?.verb ?? "utility") === "utility" && namesCommand.test(text)),
  };
  for (const experiment of experiments) {
    const reading = readFor(statement ?? text, experiment);
    if (reading !== null) return { ...unread.reading, ...base, ...reading };
  }
  return { ...unread.reading, ...base };
};

const readFor = (from: string | ParsedStatement, experiment: GateExperiment): Partial<Reading> | null => {
  if (!mentions(typeof from === "string" ? from : from.text, experiment.table.name)) return null;
  const treatment = armReading(from, experiment);
  if (treatment === null) return null;
  return {
    experiment,
    seed: seedFrom(experiment.id),
    arms: { treatment, control: experiment.control === undefined ? null : armReading(from, experiment.control) },
  };
};

/** Null where the statement does not scan the table. */
const armReading = (from: string | ParsedStatement, gate: Gate): ArmReading | null => {
  const outcome = addGate(from, gate);
  switch (outcome.kind) {
    case "untouched":
      return null;
    case "skipped":
      return { splices: null, bareName: false, skipped: outcome.reasons, mark: "" };
    case "rewritten": {
      const { splices, bareName, skipped } = outcome;
      return { splices, bareName, skipped, mark: markOf(gate) };
    }
  }
};

const markOf = (gate: Gate): string =>
  seedFrom(`${gate.table.schema} ${gateCondition(gate, gate.table.name)}`).toString(36);
