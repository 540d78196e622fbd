import type { TableName } from "./index-definition.ts";

/** What a permit allows: one act on one table. */
export interface PermittedAct {
  readonly act: "create index" | "replace index" | "reindex" | "drop index";
  readonly table: TableName;
  readonly deploymentId: string;
}

declare const minted: unique symbol;

/**
 * Consent of the safeguards to one act, for a short time. A function that changes the target database takes one; only
 * `safeguards/` mints them (a test checks who imports {@link mintPermit}), so DDL without consent does not compile.
 */
export interface Permit extends PermittedAct {
  readonly [minted]: true;
  /** Epoch milliseconds. The act must have *begun* by then. */
  readonly expiresAt: number;
}

const genuine = new WeakSet<object>();

/** For `safeguards/` only. */
export const mintPermit = (act: PermittedAct, expiresAt: number): Permit => {
  const permit = Object.freeze({ ...act, expiresAt }) as Permit;
  genuine.add(permit);
  return permit;
};

/** Whether a permit was minted in this process, allows this act and has not expired. */
export const permitAllows = (permit: Permit, act: PermittedAct, nowMs: number): boolean =>
  genuine.has(permit) &&
  nowMs <= permit.expiresAt &&
  permit.act === act.act &&
  permit.deploymentId === act.deploymentId &&
  permit.table.schema === act.table.schema &&
  permit.table.name === act.table.name;

/** Why something may not be, or may not go on. */
export interface Objection {
  /** Stable code, e.g. `storage_budget`; the safeguards' SPEC.md lists them. */
  readonly code: string;
  /** One sentence for people, with the numbers. */
  readonly reason: string;
  /** When asking again can help; null when a person has to change something first. */
  readonly retryAt: Date | null;
}

/** What the safeguards answer. A refusal is a value: it is shown, stored as a decision, and may end by itself. */
export type PermitAnswer =
  | { readonly kind: "permit"; readonly permit: Permit }
  | ({ readonly kind: "refused" } & Objection);

/** Asks the safeguards about one act, at the moment it is about to begin. */
export type PermitSource = (act: PermittedAct) => Promise<PermitAnswer>;

/** Asks the safeguards, again and again while an act is under way, whether it must end now; null: it may go on. */
export type HaltSource = (act: PermittedAct["act"]) => Promise<Objection | null>;
