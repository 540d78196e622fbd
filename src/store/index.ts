/**
 * What has IndexPilot done, why, and what has it seen?
 *
 * The schema `indexpilot`: its migrations, the lease that binds it to one database, and repositories for deployments with their history,
 * decisions, observations, and the ledger of our own scans. Invariants: the schema is installed once, however many processes start together;
 * a copy of it (dump, snapshot, branch) is recognised; a transition and its history row are one transaction; no literals of users' queries.
 *
 * Left to others: which transitions are allowed (`rollout/`), what the evidence means (`verification/`). A store's session belongs to the store alone.
 */
export type { DecisionRepository } from "./decisions.ts";
export type { DeploymentPatch, DeploymentRepository, Transition } from "./deployments.ts";
export type { ObservationRepository, ObservedBlock, StoredStatement } from "./observations.ts";
export type { Retention } from "./retention.ts";
export type { ScanLedger } from "./scans.ts";
export { openStore, type Store, type StoreOptions } from "./store.ts";
