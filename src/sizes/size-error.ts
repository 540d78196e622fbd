import type { IndexDefinition } from "../domain/index.ts";

/** Real size ÷ estimated size lies between these, as measured. */
export interface SizeError {
  readonly low: number;
  readonly high: number;
}

// Measured by bench/shadow.ts (`npm run bench:shadow -- --sizes`) on 14 to 18 over three schemas and some 90 indexes, rounded outwards.
const plain: SizeError = { low: 0.85, high: 1.07 };
// Columns that depend on each other have fewer combinations than we think.
const combined: SizeError = { low: 0.28, high: 1.07 };
const included: SizeError = { low: 0.95, high: 1.05 };
const partial: SizeError = { low: 0.85, high: 1.1 };
// Of the forms that `expression.ts` knows: within 3 %; of others as good as a guess.
const expression: SizeError = { low: 0.25, high: 1.15 };
const byMethod: Readonly<Record<Exclude<IndexDefinition["method"], "btree">, SizeError>> = {
  hash: { low: 0.9, high: 1.1 },
  brin: { low: 0.95, high: 1.05 },
  // How many different members and trigrams there are is guessed from the hundred values that ANALYZE keeps.
  gin: { low: 0.25, high: 1.6 },
  gist: { low: 0.6, high: 1.25 },
  spgist: { low: 0.85, high: 1.3 },
};

/** How far the real size of such an index was from the estimate, for showing beside it. */
export const sizeErrorOf = ({ method, keys, include, where }: IndexDefinition): SizeError => {
  if (method !== "btree") return byMethod[method];
  if (keys.some((key) => key.expression !== undefined)) return expression;
  if (include.length > 0) return keys.length > 1 ? combined : included;
  if (keys.length > 1) return combined;
  return where === undefined ? plain : partial;
};
