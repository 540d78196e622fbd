/**
 * How does IndexPilot come by a PostgreSQL of its own?
 *
 * Starts real servers (majors 14 to 18) from binaries that npm brings, in a temporary directory, on a free port of the loopback
 * interface: for the demo, the shadow planner and the tests. Works as root (the server then runs as another user) or not.
 * Where no server program runs, PostgreSQL 18 as WebAssembly stands in for the shadow planner; nothing else uses it.
 * Invariant: when our process ends in any way, SIGKILL included, the server stops and its directory is removed.
 */
export { availableMajors } from "./binaries.ts";
export { startPortable } from "./portable.ts";
export { type EmbeddedOptions, startEmbedded } from "./server.ts";
export type { EmbeddedServer } from "./supervised.ts";
