/**
 * A cache that holds between `limit` and twice as many of what was used last: two generations, the older of which is forgotten when the younger is full. What is in
 * constant use outlives any flood of what comes once.
 */
export class BoundedCache<V> {
  readonly #limit: number;
  readonly #young = new Map<string, V>();
  #old: ReadonlyMap<string, V> = new Map();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The younger generation, always the same Map: for who looks so often that a call would count. What it lacks, {@link get} may have. */
  get young(): ReadonlyMap<string, V> {
    return this.#young;
  }

  get(key: string): V | undefined {
    const found = this.#young.get(key);
    if (found !== undefined) return found;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, value: V): void {
    if (this.#young.size >= this.#limit) {
      this.#old = new Map(this.#young);
      this.#young.clear();
    }
    this.#young.set(key, value);
  }
}
