/** A source of numbers in [0, 1). */
export type Random = () => number;

/** For what must differ from process to process: jitter. */
export const systemRandom: Random = Math.random;

/**
 * A small seeded generator (mulberry32, Tommy Ettinger, public domain): the same seed gives the same sequence on every machine.
 * Good enough for sampling parameters and synthetic data; not for secrets.
 */
export const seededRandom = (seed: number): Random => {
  let state = seed | 0;
  return () => {
    state = (state + step) | 0;
    return mixed(state);
  };
};

/** The first number of {@link seededRandom}, without a generator to make. */
export const firstRandom = (seed: number): number => mixed((seed + step) | 0);

const step = 0x6d2b79f5;

const mixed = (state: number): number => {
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
};

/** A seed from a text (FNV-1a, 32 bits), so that each statement draws its own repeatable sequence. */
export const seedFrom = (text: string): number => {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    hash ^= text.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193);
  }
  return hash >>> 0;
};
