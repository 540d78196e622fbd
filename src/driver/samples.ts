import { type Random, seededRandom } from "../runtime/index.ts";

/** A parameter as it is kept. */
export type SampledValue = string | number | boolean | null;

export interface SampleLimits {
  /** Sets of parameters kept of each fingerprint. */
  readonly perFingerprint: number;
  /** Fingerprints of which any are kept; the first so many. */
  readonly fingerprints: number;
}

/** UTF-16 units; a set with a longer text in it is not kept. */
const longestValue = 200;

/** Some sets of parameters of each fingerprint, each set as likely to be among them as any other (Vitter 1985, algorithm R). Users' data: only if asked. */
export class ParameterSamples {
  readonly #limits: SampleLimits;
  readonly #random: Random = seededRandom(1);
  readonly #kept = new Map<string, { seen: number; sets: (readonly SampledValue[])[] }>();

  constructor(limits: SampleLimits) {
    this.#limits = limits;
  }

  add(fingerprint: string, values: readonly unknown[]): void {
    let kept = this.#kept.get(fingerprint);
    if (kept === undefined) {
      if (this.#kept.size >= this.#limits.fingerprints) return;
      kept = { seen: 0, sets: [] };
      this.#kept.set(fingerprint, kept);
    }
    kept.seen += 1;
    const place =
      kept.sets.length < this.#limits.perFingerprint ? kept.sets.length : Math.floor(this.#random() * kept.seen);
    if (place >= this.#limits.perFingerprint) return;
    const set = values.map(sampled);
    if (set.every((value) => value !== undefined)) kept.sets[place] = set;
  }

  all(): ReadonlyMap<string, readonly (readonly SampledValue[])[]> {
    return new Map([...this.#kept].map(([fingerprint, { sets }]) => [fingerprint, [...sets]]));
  }
}

const sampled = (value: unknown): SampledValue | undefined => {
  if (value === null || value === undefined) return null;
  if (typeof value === "number" || typeof value === "boolean") return value;
  if (typeof value === "bigint") return String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value.toISOString();
  return typeof value === "string" && value.length <= longestValue ? value : undefined;
};
