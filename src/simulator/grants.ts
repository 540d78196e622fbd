import { quoteIdentifier, quoteLiteral } from "../postgres/index.ts";

/** Who may do what for IndexPilot in one database. */
export interface AccessPlan {
  readonly database: string;
  /** Where the tables are that may get indexes. */
  readonly schemas: readonly string[];
  /** Owner of those tables. */
  readonly owner: string;
  /** Role that reads statistics and EXPLAINs. */
  readonly observe: string;
  /** Role that builds and drops indexes, and keeps the schema `indexpilot`. */
  readonly build: string;
  /** For both roles; null where the server authenticates them without one. */
  readonly password: string | null;
}

/**
 * All that a superuser has to run once before IndexPilot can work on a database, and nothing more. Neither role is a superuser.
 * The README shows these statements.
 */
export const accessStatements = (plan: AccessPlan): readonly string[] => {
  const database = quoteIdentifier(plan.database);
  const owner = quoteIdentifier(plan.owner);
  const observe = quoteIdentifier(plan.observe);
  const build = quoteIdentifier(plan.build);
  const password = plan.password === null ? "" : ` password ${quoteLiteral(plan.password)}`;
  return [
    `create role ${observe} login${password}`,
    `grant connect on database ${database} to ${observe}`,
    // Other roles' statements and settings; the tables' statistics and EXPLAIN of any query.
    `grant pg_monitor, pg_read_all_data to ${observe}`,
    `create role ${build} login${password}`,
    `grant connect, create on database ${database} to ${build}`,
    // An index belongs to the table's owner, and needs CREATE on the table's schema.
    `grant ${owner} to ${build}`,
    ...plan.schemas.map((schema) => `grant usage, create on schema ${quoteIdentifier(schema)} to ${build}`),
  ];
};
