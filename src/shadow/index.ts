/**
 * What would the target's planner do with these indexes?
 *
 * An embedded server of the same major version with the target's schema, roles, policies, statistics and sizes, and none of its rows.
 * Candidates are really created there, on empty tables, and then given the size and height they would have; `pg_index.indisvalid` decides what
 * each plan may use. A statement is planned as its role, with that role's policies and settings. Nothing is installed on the target, and nothing
 * is asked of it but its catalogue and the ends of some indexes. Invariants: a shadow is never analysed or vacuumed (either would count the
 * missing rows); after each call its catalogue shows the target's own indexes and no other; code of the target's runs only where planning runs
 * it (immutable and stable functions on constants), without a superuser's rights; what could not be rebuilt is named in `leftOut`.
 * Leaves to others: reading the catalogue (`postgres`), caching and calibration (`whatif`).
 */
export { type EndPoints, endsAreUnknown, readEndPoints } from "./end-points.ts";
export { partFor } from "./part.ts";
export { type ShadowOptions, type ShadowPlanner, startShadow } from "./shadow.ts";
