/**
 * How do we speak with a PostgreSQL server?
 *
 * The only way into a database: connections with settled time-outs, what a server can do, identifiers and literals, the one renderer of DDL,
 * and the meaning of SQLSTATEs. Knows nothing of what IndexPilot wants. Statements that belong to one stage live in that stage.
 */
export * from "./array-text.ts";
export * from "./catalog/index.ts";
export * from "./connection.ts";
export * from "./ddl.ts";
export * from "./identifier.ts";
export * from "./identity.ts";
export * from "./index-text.ts";
export * from "./own-scans.ts";
export * from "./session.ts";
export * from "./sqlstate.ts";
