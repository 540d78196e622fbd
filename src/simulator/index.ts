/**
 * What does a realistic database under realistic traffic look like, when we know which indexes it lacks?
 *
 * The demo's e-commerce database (seeded, skewed, primary keys only) and the traffic of its application. Invariants: the same seed gives the
 * same rows on every supported server; the application's role is no superuser; traffic counts its errors and never throws. Knows nothing of
 * IndexPilot: whoever finds the missing indexes has to find them as in any other database.
 */
export { type CanaryQuery, type CanaryReport, type CanaryResult, runCanaryDemo } from "./canary-demo.ts";
export { createDemoDatabase, type DemoDatabase, type DemoOptions } from "./database.ts";
export { type DemoQuery, type DemoReport, runDemo } from "./demo.ts";
export { accessStatements, type AccessPlan } from "./grants.ts";
export { demoSettings } from "./settings.ts";
export { runTraffic, type Traffic, type TrafficOptions, type TrafficSummary } from "./traffic.ts";
export { canaryMix, ecommerceMix, harmfulIndex } from "./workloads/ecommerce/index.ts";
export type { Parameter, QueryShape } from "./shape.ts";
