/** A Map that holds what came last: when it is full, the older half of it is forgotten. */
export class BoundedMap<V> extends Map<string, V> {
  readonly #limit: number;

  constructor(limit: number) {
    super();
    this.#limit = limit;
  }

  override set(key: string, value: V): this {
    if (this.size >= this.#limit) {
      const older = this.#limit / 2;
      let i = 0;
      for (const one of this.keys()) {
        if (i >= older) break;
        this.delete(one);
        i += 1;
      }
    }
    return super.set(key, value);
  }
}
