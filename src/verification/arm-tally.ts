import type { ArmCall, ArmCounters, ArmName, ArmWindow } from "../domain/index.ts";
import { bucketOf } from "../statistics/index.ts";

interface Counters extends ArmCounters {
  calls: number;
  totalMs: number;
  rows: number;
  readonly latencies: Map<number, number>;
}

interface Window extends ArmWindow {
  share: number | null;
  /** Of each unit, and each transaction of it where these are drawn, whether one of its statements failed. */
  readonly seen: Map<string, Map<number | null, boolean>>;
  readonly statements: Map<string, Counters>;
}

/** Fingerprints beyond so many in a window count for their unit only: an application that writes its values into its texts shall not fill the store. */
const mostStatements = 500;
/** Units that were seen last and have no transactions: one that comes again, as a connection or a user does, is no further draw. */
const rememberedUnits = 100_000;

/** What cannot be handed over so often in a row shall not fill the application's memory: the oldest is forgotten. */
const mostUnsent = 60;

/**
 * Adds calls up by window and arm. A unit counts in the window in which it is first seen with a share, and has failed if it did so there. Transactions that were
 * taken are forgotten: one whose calls are taken in two halves counts twice.
 */
export class ArmTally {
  readonly #blockMs: number;
  readonly #first = new Map<string, { readonly slot: number; readonly share: number }>();
  #windows = new Map<string, Window>();
  readonly #unsent: (readonly ArmWindow[])[] = [];

  constructor(blockMs: number) {
    this.#blockMs = blockMs;
  }

  add({ arm, fingerprint, unit, transaction = null, share, at, timeMs, rows, failed }: ArmCall): void {
    const slot = Math.floor(at.getTime() / this.#blockMs);
    const window = this.#window(arm, slot, share);
    if (window.share !== share) window.share = null;
    if (unit !== null && (transaction !== null || this.#isFirst(unit, slot, share))) {
      let seen = window.seen.get(unit);
      if (seen === undefined) window.seen.set(unit, (seen = new Map()));
      seen.set(transaction, failed || seen.get(transaction) === true);
    }
    if (fingerprint === null) return;
    let of = window.statements.get(fingerprint);
    if (of === undefined) {
      if (window.statements.size >= mostStatements) return;
      of = { calls: 0, totalMs: 0, rows: 0, latencies: new Map() };
      window.statements.set(fingerprint, of);
    }
    const bucket = bucketOf(timeMs);
    of.calls += 1;
    of.totalMs += timeMs;
    of.rows += rows ?? 0;
    of.latencies.set(bucket, (of.latencies.get(bucket) ?? 0) + 1);
  }

  /** The windows that ended by `before`; without it all. */
  #take(before: Date | null): readonly ArmWindow[] {
    const taken: ArmWindow[] = [];
    for (const [key, { arm, slot, share, seen, statements }] of this.#windows) {
      if (before !== null && (slot + 1) * this.#blockMs > before.getTime()) continue;
      let [units, failedUnits] = [0, 0];
      for (const transactions of seen.values()) {
        units += transactions.size;
        for (const failed of transactions.values()) failedUnits += Number(failed);
      }
      taken.push({ arm, slot, share, units, failedUnits, statements });
      this.#windows.delete(key);
    }
    return taken;
  }

  /** Hands over the windows that ended by `before`, without it all; what was not accepted is handed over the next time. @throws what `accept` throws */
  async handOver(before: Date | null, accept: (windows: readonly ArmWindow[]) => Promise<void>): Promise<void> {
    const taken = this.#take(before);
    if (taken.length > 0) this.#unsent.push(taken);
    if (this.#unsent.length > mostUnsent) this.#unsent.shift();
    for (let next = this.#unsent.shift(); next !== undefined; next = this.#unsent.shift()) {
      try {
        await accept(next);
      } catch (error) {
        this.#unsent.unshift(next);
        throw error;
      }
    }
  }

  #isFirst(unit: string, slot: number, share: number): boolean {
    const known = this.#first.get(unit);
    const first = known?.share === share ? known : { slot, share };
    // Whoever was seen last is forgotten last.
    this.#first.delete(unit);
    this.#first.set(unit, first);
    if (this.#first.size > rememberedUnits) {
      for (const oldest of this.#first.keys()) {
        this.#first.delete(oldest);
        break;
      }
    }
    return first.slot === slot;
  }

  #window(arm: ArmName, slot: number, share: number): Window {
    const key = `${arm} ${String(slot)}`;
    let window = this.#windows.get(key);
    if (window === undefined) {
      window = { arm, slot, share, units: 0, failedUnits: 0, seen: new Map(), statements: new Map() };
      this.#windows.set(key, window);
    }
    return window;
  }
}
