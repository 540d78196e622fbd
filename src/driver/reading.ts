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

/** What is known of a text, and of all others that differ in their literals. */
interface Reading {
  readonly fingerprint: string | null;
  /** False where the text was not looked at, to save time. */
  readonly read: boolean;
  /** Whether it may change what bare names mean on its connection. */
  readonly changesNames: boolean;
  /** The experiment whose table it scans. */
  readonly experiment: GateExperiment | null;
  /** That experiment's own, for its draws. */
  readonly seed: number;
  /** What that arm states; null where it states nothing. */
  readonly treatment: ArmReading | null;
  readonly control: ArmReading | null;
}

/** What an arm makes of a statement. */
export interface ArmReading {
  /** Where its gate goes; null where it cannot be added. */
  readonly splices: readonly Splice[] | null;
  /** Whether the gate is right only while bare names mean what they meant. */
  readonly bareName: boolean;
  readonly skipped: readonly GateSkip[];
  /** See {@link GatedText.mark}. */
  readonly mark: string;
}

/** A text with the gate in it. */
export interface GatedText {
  readonly text: string;
  /** What it has that the original has not. */
  readonly splices: readonly Splice[];
  /** Some characters that tell prepared statements with this gate from the original ones, and from those with another gate. */
  readonly mark: string;
}

/** What is known of a text. */
export interface ReadText extends Reading {
  /** Null where the arm's gate cannot be added. Made when it is asked for. */
  readonly gated: (arm: Arm) => GatedText | null;
}

export interface StatementReader {
  /** Texts that are known. Looked into before every statement, and so not through a call. */
  readonly texts: ReadonlyMap<string, ReadText>;
  /** Reads one that is not there. */
  readonly read: (text: string) => ReadText;
}

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
  fingerprint: null,
  read: false,
  changesNames: false,
  experiment: null,
  seed: 0,
  treatment: null,
  control: null,
  gated: () => null,
};

/** Reads texts for the given experiments, each shape once. */
export const statementReader = (experiments: readonly GateExperiment[], clock: Clock): StatementReader => {
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

  const read = (text: string): ReadText => {
    const known = texts.get(text);
    if (known !== undefined) return known;
    if (text.length > longest) return withNames(text);
    const shape = shapeOf(text);
    const same = shape === null || shape.key === text;
    const shaped = same ? undefined : shapes.get(shape.key);
    if (shaped !== undefined) return asText(shaped, (arm) => gatedText(shaped, arm, text, shape));
    if (!mayParse()) return withNames(text);
    if (same) {
      const reading = readText(text, experiments);
      const gated = {
        treatment: gatedText(reading, "treatment", text, null),
        control: gatedText(reading, "control", text, null),
      };
      const result = asText(reading, (arm) => gated[arm]);
      texts.set(text, result);
      return result;
    }
    const reading = readText(shape.key, experiments);
    shapes.set(shape.key, reading);
    return asText(reading, (arm) => gatedText(reading, arm, text, shape));
  };
  return { texts: texts.young, read };
};

/** Field by field: what is spread, the engine lays in two places, and it is looked at before every statement. */
const asText = (
  { fingerprint, read, changesNames, experiment, seed, treatment, control }: Reading,
  gated: ReadText["gated"],
): ReadText => ({ fingerprint, read, changesNames, experiment, seed, treatment, control, gated });

const withNames = (text: string): ReadText =>
  namesChanger.test(text) || namesCommand.test(text) ? { ...unread, changesNames: true } : unread;

const gatedText = (reading: Reading, arm: Arm, text: string, shape: Shape | null): GatedText | null => {
  const stated = reading[arm];
  if (stated === null || stated.splices === null) return null;
  const { splices, mark } = stated;
  const own = shape === null ? splices : splices.map(({ at, insert }) => ({ at: shape.positionInText(at), insert }));
  return { text: spliced(text, own), splices: own, mark };
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
    if (reading !== null) return { ...unread, ...base, ...reading };
  }
  return { ...unread, ...base };
};

const readFor = (from: string | ParsedStatement, experiment: GateExperiment): Partial<Reading> | null => {
  if (!mentions(typeof from === "string" ? from : from.text, experiment.table.name)) return null;
  const treatment = armReading(from, experiment);
  if (treatment === null) return null;
  return {
    experiment,
    seed: seedFrom(experiment.id),
    treatment,
    control: experiment.control === undefined ? null : armReading(from, experiment.control),
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
