import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import { type Clock, seedFrom } from "../runtime/index.ts";
import type { HookCounts, HookSkip } from "./counts.ts";
import { drawsNumbered, type GateExperiment, shouldUseCanary } from "./experiment.ts";
import type { Measurement } from "./measurement.ts";
import { type ArmReading, type GatedText, type ReadText, type StatementReader, statementReader } from "./reading.ts";
import type { ParameterSamples } from "./samples.ts";

/** What is remembered of one connection, or of one line of statements that run one after another. */
export interface Line {
  /** What it is called as a unit. */
  readonly unit: string;
  readonly seed: number;
  transaction: number;
  /** Statements sent and not yet answered. */
  pending: number;
  /** When the last answer came, on the clock of {@link Hook}. */
  freeAt: number;
  /** Whether bare names may mean something else here. */
  namesUnclear: boolean;
}

/** The measurement of a statement on its way: whole when the answer has come. */
export type Draft = { -readonly [Key in keyof Measurement]: Measurement[Key] };

type Observer = (measurement: Measurement) => void;

/**
 * What both drivers share: reading, drawing, measuring. Nothing in here throws. What stands before every statement is kept short: with calls for what is rare,
 * the engine makes one piece of all that is left.
 */
export class Hook {
  readonly #clock: Clock;
  /** Milliseconds from an arbitrary origin. */
  readonly now: () => number;
  #observers: readonly Observer[];
  /** All of them. */
  #tell: Observer;
  readonly #samples: ParameterSamples | null;
  readonly #process = randomUUID();
  #units: AsyncLocalStorage<string> | null = null;
  #texts: StatementReader["texts"] = new Map();
  #reader: StatementReader | null = null;
  #experiments: readonly GateExperiment[] = [];
  /** By what the treatment states. */
  #refused = new WeakSet<ArmReading>();
  #lines = 0;
  #ready = false;
  #removed = false;
  #statements = 0;
  #gated = 0;
  #unread = 0;
  #failures = 0;
  #skipped = new Map<HookSkip, number>();

  constructor(clock: Clock, observe: Observer | undefined, samples: ParameterSamples | null) {
    this.#clock = clock;
    this.now = clock.monotonicMs;
    this.#observers = observe === undefined ? [] : [observe];
    this.#tell = toldTo(this.#observers);
    this.#samples = samples;
  }

  /** From now on, texts are read: the parser is there. */
  start(): void {
    this.#ready = true;
    this.run(this.#experiments);
  }

  run(experiments: readonly GateExperiment[]): void {
    this.#experiments = experiments;
    if (!this.#ready || this.#removed) return;
    this.#reader = statementReader(experiments, this.#clock);
    this.#texts = this.#reader.texts;
  }

  /** Tells another as well. Returns what ends that. */
  observe(observer: Observer): () => void {
    const tellAll = (observers: readonly Observer[]): void => {
      this.#observers = observers;
      this.#tell = toldTo(observers);
    };
    tellAll([...this.#observers, observer]);
    return () => tellAll(this.#observers.filter((one) => one !== observer));
  }

  remove(): void {
    this.#removed = true;
    this.#reader = null;
    this.#texts = new Map();
  }

  line(): Line {
    // Lines are numbered in every process alike.
    const unit = `${this.#process} ${(this.#lines += 1)}`;
    return { unit, seed: seedFrom(unit), transaction: 0, pending: 0, freeAt: 0, namesUnclear: false };
  }

  as<T>(unit: string, work: () => T): T {
    this.#units ??= new AsyncLocalStorage();
    return this.#units.run(unit, work);
  }

  /** What is known of a text; null where its statement shall just be sent. */
  read(text: string): ReadText | null {
    return this.#texts.get(text) ?? this.#readNew(text);
  }

  /**
   * Takes note of a statement that is about to be sent: `gated` says that its arm's gate shall be stated. `between` says that no transaction is open on the line;
   * null that the driver does not tell, and then nothing is drawn.
   * Each one must be followed by {@link done} or {@link abandon}.
   */
  begin(line: Line, known: ReadText, between: boolean | null): Draft {
    if (between && line.pending === 0) line.transaction += 1;
    line.pending += 1;
    this.#statements += 1;
    if (!known.read || known.changesNames) this.#remember(line, known);
    const draft: Draft = {
      fingerprint: known.fingerprint,
      experiment: null,
      arm: null,
      unit: null,
      transaction: null,
      share: null,
      gated: false,
      timeMs: 0,
      rows: null,
      error: null,
    };
    if (known.experiment !== null) this.#draw(draft, line, known, known.experiment, between);
    return draft;
  }

  /** What to send instead, where the gate is to be stated. */
  gate(known: ReadText, draft: Draft): GatedText | null {
    return draft.gated && draft.arm !== null ? known.gated(draft.arm) : null;
  }

  /** The statement went out as it was, after all. */
  withhold(draft: Draft, reason: HookSkip): void {
    if (!draft.gated) return;
    draft.gated = false;
    this.#gated -= 1;
    this.#skip(reason);
  }

  /** The server took the original and not the text with the gate: that text is not given it again. */
  refuse(known: ReadText): void {
    if (known.treatment !== null) this.#refused.add(known.treatment);
  }

  /** The answer has come to what was sent at `at`; `firstAt` is when its first part had, where that is what counts. */
  done(line: Line, draft: Draft, at: number, rows: number | null, error: string | null, firstAt?: number): void {
    const now = this.now();
    const began = line.freeAt > at ? line.freeAt : at;
    line.pending -= 1;
    line.freeAt = now;
    draft.timeMs = (firstAt ?? now) - began;
    draft.rows = rows;
    draft.error = error;
    try {
      this.#tell(draft);
    } catch {
      this.#failures += 1;
    }
  }

  /** Keeps the parameters, where that was asked for. */
  sample(known: ReadText, values: unknown): void {
    if (this.#samples !== null) this.#keep(this.#samples, known, values);
  }

  failed(): void {
    this.#failures += 1;
  }

  /** Something went wrong with a statement that was noted: it goes out as it came, and is not measured. */
  abandon(line: Line, draft: Draft): void {
    this.#failures += 1;
    line.pending -= 1;
    if (draft.gated) this.#gated -= 1;
  }

  counts(): HookCounts {
    return {
      statements: this.#statements,
      gated: this.#gated,
      skipped: Object.fromEntries(this.#skipped),
      unread: this.#unread,
      failures: this.#failures,
    };
  }

  #readNew(text: string): ReadText | null {
    if (this.#reader === null) {
      if (!this.#removed) this.#unread += 1;
      return null;
    }
    try {
      return this.#reader.read(text);
    } catch {
      this.#failures += 1;
      return null;
    }
  }

  #remember(line: Line, known: ReadText): void {
    if (!known.read) this.#unread += 1;
    if (known.changesNames) line.namesUnclear = true;
  }

  #keep(samples: ParameterSamples, { fingerprint }: ReadText, values: unknown): void {
    if (fingerprint === null || !Array.isArray(values)) return;
    try {
      samples.add(fingerprint, values);
    } catch {
      this.#failures += 1;
    }
  }

  #draw(draft: Draft, line: Line, known: ReadText, experiment: GateExperiment, between: boolean | null): void {
    draft.experiment = experiment.id;
    if (between === null) return this.#skip("transactions unknown");
    const { unit, share } = experiment;
    const named = unit === "slice" || this.#units !== null ? this.#namedUnit(experiment) : undefined;
    let drawn: boolean;
    if (named === undefined) {
      draft.unit = line.unit;
      if (unit === "transaction") draft.transaction = line.transaction;
      drawn = drawsNumbered(share, known.seed ^ line.seed, draft.transaction ?? 0);
    } else {
      if (unit !== "slice") draft.unit = named;
      drawn = shouldUseCanary(experiment, named);
    }
    draft.share = share;
    draft.arm = drawn ? "treatment" : "control";
    const stated = drawn ? known.treatment : known.control;
    if (stated !== null) this.#state(draft, line, known, stated);
  }

  #state(draft: Draft, line: Line, { treatment }: ReadText, { skipped, splices, bareName }: ArmReading): void {
    for (const reason of skipped) this.#skip(reason);
    if (splices === null) return;
    if (treatment !== null && this.#refused.has(treatment)) return this.#skip("refused by the server");
    if (line.namesUnclear && bareName) return this.#skip("search path unclear");
    draft.gated = true;
    this.#gated += 1;
  }

  /** The unit that the application named, or the slice of time that it is. */
  #namedUnit(experiment: GateExperiment): string | undefined {
    return experiment.unit === "slice"
      ? `slice ${Math.floor(this.#clock.now().getTime() / experiment.sliceMs)}`
      : this.#units?.getStore();
  }

  #skip(reason: HookSkip): void {
    this.#skipped.set(reason, (this.#skipped.get(reason) ?? 0) + 1);
  }
}

const toldTo = (observers: readonly Observer[]): Observer =>
  observers.length === 1 && observers[0] !== undefined
    ? observers[0]
    : (measurement) => {
        for (const observer of observers) observer(measurement);
      };
