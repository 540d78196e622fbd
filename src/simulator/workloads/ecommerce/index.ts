/** The shop: its tables, its rows and what its application asks. */
export { canaryMix, harmfulIndex, helpfulIndex } from "./canary.ts";
export { loadSteps } from "./data.ts";
export { ecommerceMix } from "./mix.ts";
export { constraints, tables } from "./schema.ts";
