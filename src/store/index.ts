/**
 * What has IndexPilot done, why, and what has it seen?
 *
 * The schema `indexpilot`: its migrations, the lease that binds it to one database, and repositories for deployments with their history,
 * decisions, observations, experiments, what the safeguards remember, versions of indexes, what the daemon does next and has to tell, and the ledger of our own scans. Invariants: the schema is installed
 * once, however many processes start together; a copy of it (dump, snapshot, branch) is recognised; a transition and its history row are one
 * transaction; no literals of users' queries.
 *
 * Left to others: which transitions are allowed (`rollout/`), what the evidence means (`verification/`). A store's session belongs to the store alone.
 */
export { observeDeployments } from "./deployments.ts";
export type { DeploymentPatch, Transition } from "./deployments.ts";
export type { ExperimentPatch } from "./experiments.ts";
export type { DutyRecord } from "./duties.ts";
export type { StoredStatement } from "./observations.ts";
export { type CounterReading, observeReading } from "./readings.ts";
export type { VersionEntry } from "./versions.ts";
export { openStore, type Store } from "./store.ts";
