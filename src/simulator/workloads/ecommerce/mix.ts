import type { QueryShape } from "../../shape.ts";
import { reads } from "./reads.ts";
import { writes } from "./writes.ts";

/** What the shop's application asks: a round of about a hundred calls. Every name occurs once. */
export const ecommerceMix: readonly QueryShape[] = [...reads, ...writes];
