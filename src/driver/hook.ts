import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import { type Clock, seedFrom } from "../runtime/index.ts";
import type { HookCounts, HookSkip } from "./counts.ts";
import { type Arm, drawsNumbered, type GateExperiment, shouldUseCanary } from "./experiment.ts";
import type { Measurement } from "./measurement.ts";
import { type ArmReading, type GatedText, type Reading, type ReadStatement, statementReader } from "./reading.ts";
import type { ParameterSamples } from "./samples.ts";

/** What is remembered of one connection, or of one line of statements that run one after another. */
export interface Line {
  readonly number: number;
  /** What it is called as a unit. */
  readonly unit: string;
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
  readonly arm: Arm | null;
  /** What the arm was drawn for; null outside of experiments, and where nobody is told. */
  readonly unit: string | null;
  /** The treatment's, when it was drawn; null outside of experiments. */
  readonly share: number | null;
  /** What to send instead, where the gate is to be stated. */
  gated: GatedText | null;
  /** Tells prepared statements with this gate from the original ones, and from those with another gate. */
  readonly mark: string;
  at: number;
}

/** What both drivers share: reading, drawing, measuring. Nothing in here throws. */
export class Hook {
  readonly #clock: Clock;
  readonly #observers = new Set<(measurement: Measurement) => void>();
  readonly #samples: ParameterSamples | null;
  readonly #process = randomUUID();
  #units: AsyncLocalStorage<string> | null = null;
  #read: ReadStatement | null = null;
  #experiments: readonly GateExperiment[] = [];
  #seeds: ReadonlyMap<GateExperiment, number> = new Map();
  #refused = new WeakSet<Reading>();
  #lines = 0;
  #ready = false;
  #removed = false;
  #counts = { statements: 0, gated: 0, unread: 0, failures: 0 };
  #skipped = new Map<HookSkip, number>();

  constructor(
    clock: Clock,
    observe: ((measurement: Measurement) => void) | undefined,
    samples: ParameterSamples | null,
  ) {
    this.#clock = clock;
    if (observe !== undefined) this.#observers.add(observe);
    this.#samples = samples;
  }

  /** From now on, texts are read: the parser is there. */
  start(): void {
    this.#ready = true;
    this.run(this.#experiments);
  }

  run(experiments: readonly GateExperiment[]): void {
    this.#experiments = experiments;
    // Lines are numbered in every process alike.
    this.#seeds = new Map(experiments.map((one) => [one, seedFrom(`${one.id} ${this.#process}`)]));
    if (this.#ready) this.#read = statementReader(experiments, this.#clock);
  }

  /** Tells another as well. Returns what ends that. */
  observe(observer: (measurement: Measurement) => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  remove(): void {
    this.#removed = true;
  }

  line(): Line {
    const number = (this.#lines += 1);
    const unit = `${this.#process} ${number}`;
    return { number, unit, transaction: 0, pending: 0, freeAt: 0, namesUnclear: false };
  }

  as<T>(unit: string, work: () => T): T {
    this.#units ??= new AsyncLocalStorage();
    return this.#units.run(unit, work);
  }

  /**
   * Takes note of a statement that is about to be sent; null where it shall just be sent. `between` says that no transaction is open on the line.
   * Each one must be followed by {@link done}.
   */
  send(line: Line, text: string, between: boolean): Sent | null {
    if (this.#removed || this.#read === null) {
      if (!this.#removed) this.#counts.unread += 1;
      return null;
    }
    try {
      if (between && line.pending === 0) line.transaction += 1;
      const { reading, gated } = this.#read(text);
      this.#counts.statements += 1;
      if (!reading.read) this.#counts.unread += 1;
      if (reading.changesNames) line.namesUnclear = true;
      const { experiment } = reading;
      const named = experiment === null ? undefined : this.#namedUnit(experiment);
      const arm = experiment === null ? null : this.#draw(experiment, line, named);
      const unit = experiment === null || this.#observers.size === 0 ? null : (named ?? this.#unitOf(experiment, line));
      const stated = arm === null ? null : reading.arms[arm];
      const share = experiment === null ? null : experiment.share;
      const sent: Sent = { reading, arm, unit, share, gated: null, mark: stated?.mark ?? "", at: 0 };
      if (arm !== null && stated !== null) this.#admit(sent, line, stated, () => gated(arm));
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
    if (this.#observers.size === 0) return;
    try {
      const measurement: Measurement = {
        fingerprint: sent.reading.fingerprint,
        experiment: sent.reading.experiment?.id ?? null,
        arm: sent.arm,
        unit: sent.unit,
        share: sent.share,
        gated: sent.gated !== null,
        timeMs: (firstAt ?? now) - began,
        rows,
        error,
      };
      for (const observer of this.#observers) observer(measurement);
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

  now(): number {
    return this.#clock.monotonicMs();
  }

  counts(): HookCounts {
    return { ...this.#counts, skipped: Object.fromEntries(this.#skipped) };
  }

  /** The unit that the application named, or the slice of time that it is. */
  #namedUnit(experiment: GateExperiment): string | undefined {
    return experiment.unit === "slice"
      ? `slice ${Math.floor(this.#clock.now().getTime() / experiment.sliceMs)}`
      : this.#units?.getStore();
  }

  #unitOf(experiment: GateExperiment, line: Line): string {
    return experiment.unit === "transaction" ? `${line.unit} ${line.transaction}` : line.unit;
  }

  #draw(experiment: GateExperiment, line: Line, unit: string | undefined): Arm {
    const drawn =
      unit === undefined
        ? drawsNumbered(
            experiment,
            this.#seeds.get(experiment) ?? 0,
            line.number,
            experiment.unit === "transaction" ? line.transaction : 0,
          )
        : shouldUseCanary(experiment, unit);
    return drawn ? "treatment" : "control";
  }

  #admit(sent: Sent, line: Line, stated: ArmReading, gated: () => GatedText | null): void {
    for (const reason of stated.skipped) this.#skip(reason);
    if (stated.splices === null) return;
    if (this.#refused.has(sent.reading)) this.#skip("refused by the server");
    else if (line.namesUnclear && stated.bareName) this.#skip("search path unclear");
    else {
      sent.gated = gated();
      this.#counts.gated += 1;
    }
  }

  #skip(reason: HookSkip): void {
    this.#skipped.set(reason, (this.#skipped.get(reason) ?? 0) + 1);
  }
}
