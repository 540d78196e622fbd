import type { TableName } from "./index-definition.ts";

/** What a permit allows: one act on one table. */
export interface PermittedAct {
  readonly act: "create index" | "drop index";
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
