import { createHash } from "node:crypto";
import type { Random } from "../../../runtime/index.ts";

/** Rows of each table after the load; 1.39 million in all. */
export const counts = {
  categories: 60,
  customers: 150_000,
  products: 80_000,
  orders: 240_000,
  orderItems: 600_000,
  inventory: 160_000,
  events: 160_000,
} as const;

/** Orders and events lie within this many days before {@link lastDay}. A fixed date, so that the same seed gives the same rows for ever. */
export const days = 365;
export const lastDay = "2026-01-01T00:00:00Z";

/**
 * Zipf-like skew by a power law: rank ⌊n u^k⌋ + 1 of n has density ∝ rank^(1/k − 1), for k = 3 about rank^−0.67. Loading (SQL) and traffic (here)
 * share it, so that the customers with many orders are the ones who come back.
 */
export const skew = 3;

/** Spreads ranks over ids, so that the popular ones are not neighbours on disk. Coprime to every count above. */
export const spread = 7919;

/** A popular id is drawn often, and is the same id in the data. */
export const popular = (random: Random, count: number): number =>
  1 + ((Math.floor(count * random() ** skew) * spread) % count);

export const uniform = (random: Random, count: number): number => 1 + Math.floor(count * random());

export const pick = <T>(random: Random, values: readonly [T, ...T[]]): T =>
  values[Math.floor(random() * values.length)] ?? values[0];

/** An instant `from`…`to` days before the last day, as ISO text. */
export const daysBefore = (random: Random, from: number, to: number): string =>
  new Date(Date.parse(lastDay) - (from + (to - from) * random()) * 86_400_000).toISOString();

export const cities = [
  ["DE", "Berlin"],
  ["DE", "Hamburg"],
  ["DE", "Leipzig"],
  ["FR", "Lyon"],
  ["FR", "Paris"],
  ["IT", "Milano"],
  ["ES", "Sevilla"],
  ["ES", "Valencia"],
  ["NL", "Utrecht"],
  ["PL", "Kraków"],
  ["AT", "Graz"],
  ["BE", "Gent"],
  ["DK", "Aarhus"],
  ["SE", "Malmö"],
  ["PT", "Porto"],
  ["CZ", "Brno"],
] as const;

/** As the load writes it, and the application looks it up. */
export const emailOf = (customer: number): string => `customer.${customer}@example.com`;
export const skuOf = (product: number): string => `SKU-${String(product).padStart(8, "0")}`;

export const eventsPerSession = 8;
export const sessionOf = (random: Random): string =>
  createHash("md5")
    .update(`session ${Math.floor(uniform(random, counts.events) / eventsPerSession)}`)
    .digest("hex");
