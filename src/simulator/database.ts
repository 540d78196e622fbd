import { openSession, quoteIdentifier, quoteLiteral, type Session } from "../postgres/index.ts";
import { systemClock, type Clock } from "../runtime/index.ts";
import { accessStatements, type AccessPlan } from "./grants.ts";
import { constraints, loadSteps, tables } from "./workloads/ecommerce/index.ts";

export interface DemoOptions {
  readonly seed: number;
  /** Password of the roles made here; null (default) where the server trusts local connections. */
  readonly password?: string | null;
  /** Told before each step, e.g. `loading orders`. */
  readonly onProgress?: (step: string) => void;
  readonly clock?: Clock;
}

export interface DemoDatabase {
  readonly database: string;
  /** The application's role. */
  readonly application: string;
  readonly access: AccessPlan;
  readonly rows: number;
  readonly loadMs: number;
}

const database = "shop";
const owner = "shop_owner";
const application = "app";

/**
 * Creates the database `shop` with its roles, tables and 1.4 million rows, in 6 s on two idle cores and 12 s on two busy ones. Ordinary logged tables with primary and
 * foreign keys and no other index; analysed and vacuumed at the end, so that nothing of the load is left to do when measuring begins.
 * @param superuser a session on any database of the server; it may create roles and databases
 */
export const createDemoDatabase = async (superuser: Session, options: DemoOptions): Promise<DemoDatabase> => {
  const { seed, password = null, onProgress = () => undefined, clock = systemClock } = options;
  const started = clock.monotonicMs();
  const access: AccessPlan = {
    database,
    schemas: ["public"],
    owner,
    observe: "indexpilot_observe",
    build: "indexpilot_build",
    password,
  };
  onProgress("creating the database shop and its roles");
  const secret = password === null ? "" : ` password ${quoteLiteral(password)}`;
  await superuser.query(`create role ${quoteIdentifier(owner)} nologin`);
  await superuser.query(`create role ${quoteIdentifier(application)} login${secret}`);
  await superuser.query(`create database ${quoteIdentifier(database)} owner ${quoteIdentifier(owner)}`);
  const { target } = superuser;
  const inside = { ...target, database, config: { ...target.config, database } };
  // `build`: no statement time-out, for loading a table takes as long as it takes.
  const session = await openSession(inside, "build");
  try {
    await session.query("create extension pg_stat_statements");
    await session.query(`grant usage, create on schema public to ${quoteIdentifier(owner)}`);
    await session.query(`grant usage on schema public to ${quoteIdentifier(application)}`);
    for (const statement of accessStatements(access)) await session.query(statement);
    await session.query(`set role ${quoteIdentifier(owner)}`);
    await session.script(tables);
    await session.query("set synchronous_commit = off");
    for (const { table, sql } of loadSteps(seed)) {
      onProgress(`loading ${table}`);
      await session.script(sql);
    }
    onProgress("checking keys");
    await session.script(constraints);
    await session.query(
      `grant select, insert, update, delete on all tables in schema public to ${quoteIdentifier(application)}`,
    );
    await session.query(`grant usage on all sequences in schema public to ${quoteIdentifier(application)}`);
    onProgress("collecting statistics");
    await session.query("vacuum (analyze)");
    await session.query("reset role");
    await session.query("checkpoint");
    const [count] = await session.query<{ rows: string }>(
      "select sum(reltuples)::bigint as rows from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace",
    );
    await session.query("select pg_stat_statements_reset()");
    return { database, application, access, rows: Number(count?.rows ?? 0), loadMs: clock.monotonicMs() - started };
  } finally {
    await session.close();
  }
};
