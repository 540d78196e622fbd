import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import { type Clock, seedFrom } from "../runtime/index.ts";
import type { HookCounts, HookSkip } from "./counts.ts";
import { type Arm, drawsNumbered, type GateExperiment, shouldUseCanary } from "./experiment.ts";
import type { Measurement } from "./measurement.ts";
import { type GatedText, type Reading, type ReadStatement, type ReadText, statementReader } from "./reading.ts";
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

/** A statement on its way. */
export interface Sent {
  readonly reading: Reading;
  arm: Arm | null;
  /** What the arm was drawn for; null outside of experiments, and for slices of time. */
  unit: string | null;
  /** Which transaction of it, where each is drawn. */
  transaction: number | null;
  /** The treatment's, when it was drawn; null outside of experiments. */
  share: number | null;
  /** What to send instead, where the gate is to be stated. */
  gated: GatedText | null;
  /** Tells prepared statements with this gate from the original ones, and from those with another gate. */
  mark: string;
  at: number;
}

type Observer = (measurement: Measurement) => void;

/** What both drivers share: reading, drawing, measuring. Nothing in here throws. */
export class Hook {
  readonly #clock: Clock;
  #observers: readonly Observer[];
  readonly #samples: ParameterSamples | null;
  readonly #process = randomUUID();
  #units: AsyncLocalStorage<string> | null = null;
  #read: ReadStatement | null = null;
  #experiments: readonly GateExperiment[] = [];
  #refused = new WeakSet<Reading>();
  #lines = 0;
  #ready = false;
  #removed = false;
  #counts = { statements: 0, gated: 0, unread: 0, failures: 0 };
  #skipped = new Map<HookSkip, number>();

  constructor(clock: Clock, observe: Observer | undefined, samples: ParameterSamples | null) {
    this.#clock = clock;
    this.#observers = observe === undefined ? [] : [observe];
    this.#samples = samples;
  }

  /** From now on, texts are read: the parser is there. */
  start(): void {
    this.#ready = true;
    this.run(this.#experiments);
  }

  run(experiments: readonly GateExperiment[]): void {
    this.#experiments = experiments;
    if (this.#ready && !this.#removed) this.#read = statementReader(experiments, this.#clock);
  }

  /** Tells another as well. Returns what ends that. */
  observe(observer: Observer): () => void {
    this.#observers = [...this.#observers, observer];
    return () => {
      this.#observers = this.#observers.filter((one) => one !== observer);
    };
  }

  remove(): void {
    this.#removed = true;
    this.#read = null;
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

  /**
   * Takes note of a statement that is about to be sent; null where it shall just be sent. `between` says that no transaction is open on the line; null that the
   * driver does not tell, and then nothing is drawn.
   * Each one must be followed by {@link done} or {@link abandon}.
   */
  send(line: Line, text: string, between: boolean | null): Sent | null {
    const read = this.#read;
    if (read === null) {
      if (!this.#removed) this.#counts.unread += 1;
      return null;
    }
    try {
      if (between && line.pending === 0) line.transaction += 1;
      const { reading, gated } = read(text);
      this.#counts.statements += 1;
      if (!reading.read) this.#counts.unread += 1;
      if (reading.changesNames) line.namesUnclear = true;
      const sent: Sent = {
        reading,
        arm: null,
        unit: null,
        transaction: null,
        share: null,
        gated: null,
        mark: "",
        at: 0,
      };
      if (reading.experiment !== null) {
        if (between === null) this.#skip("transactions unknown");
        else this.#draw(sent, line, reading.experiment, gated);
      }
      line.pending += 1;
      sent.at = this.#clock.monotonicMs();
      return sent;
    } catch {
      this.#counts.failures += 1;
      return null;
    }
  }

  /** The statement went out as it was, after all. */
  withhold(sent: Sent, reason: HookSkip): void {
    if (sent.gated === null) return;
    sent.gated = null;
    this.#counts.gated -= 1;
    this.#skip(reason);
  }

  /** The server took the original and not the text with the gate: that text is not given it again. */
  refuse(sent: Sent): void {
    this.#refused.add(sent.reading);
  }

  done(line: Line, sent: Sent, rows: number | null, error: string | null, firstAt?: number): void {
    line.pending -= 1;
    const now = this.#clock.monotonicMs();
    const began = line.freeAt > sent.at ? line.freeAt : sent.at;
    line.freeAt = now;
    if (this.#observers.length === 0) return;
    try {
      const measurement: Measurement = {
        fingerprint: sent.reading.fingerprint,
        experiment: sent.reading.experiment?.id ?? null,
        arm: sent.arm,
        unit: sent.unit,
        transaction: sent.transaction,
        share: sent.share,
        gated: sent.gated !== null,
        timeMs: (firstAt ?? now) - began,
        rows,
        error,
      };
      for (let i = 0; i < this.#observers.length; i += 1) this.#observers[i]?.(measurement);
    } catch {
      this.#counts.failures += 1;
    }
  }

  /** Keeps the parameters, where that was asked for. */
  sample(sent: Sent, values: unknown): void {
    if (this.#samples === null || sent.reading.fingerprint === null || !Array.isArray(values)) return;
    try {
      this.#samples.add(sent.reading.fingerprint, values);
    } catch {
      this.#counts.failures += 1;
    }
  }

  failed(): void {
    this.#counts.failures += 1;
  }

  /** Something went wrong with a statement that was noted: it goes out as it came, and is not measured. */
  abandon(line: Line, sent: Sent): void {
    this.#counts.failures += 1;
    line.pending -= 1;
    if (sent.gated !== null) this.#counts.gated -= 1;
  }

  now(): number {
    return this.#clock.monotonicMs();
  }

  counts(): HookCounts {
    return { ...this.#counts, skipped: Object.fromEntries(this.#skipped) };
  }

  #draw(sent: Sent, line: Line, experiment: GateExperiment, gated: ReadText["gated"]): void {
    const named = this.#namedUnit(experiment);
    let drawn: boolean;
    if (named === undefined) {
      sent.unit = line.unit;
      if (experiment.unit === "transaction") sent.transaction = line.transaction;
      drawn = drawsNumbered(experiment.share, sent.reading.seed ^ line.seed, sent.transaction ?? 0);
    } else {
      if (experiment.unit !== "slice") sent.unit = named;
      drawn = shouldUseCanary(experiment, named);
    }
    sent.arm = drawn ? "treatment" : "control";
    sent.share = experiment.share;
    const { arms } = sent.reading;
    const stated = drawn ? arms.treatment : arms.control;
    if (stated === null) return;
    sent.mark = stated.mark;
    for (const reason of stated.skipped) this.#skip(reason);
    if (stated.splices === null) return;
    if (this.#refused.has(sent.reading)) this.#skip("refused by the server");
    else if (line.namesUnclear && stated.bareName) this.#skip("search path unclear");
    else {
      sent.gated = gated(sent.arm);
      this.#counts.gated += 1;
    }
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
