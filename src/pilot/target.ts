import type { Settings } from "../config/index.ts";
import type { ServerIdentity } from "../domain/index.ts";
import { failure } from "../errors.ts";
import { type ConnectionTarget, openSession, readServerIdentity, type Session } from "../postgres/index.ts";
import type { Clock } from "../runtime/index.ts";
import { openStore, type Store } from "../store/index.ts";
import type { Emit } from "./events.ts";

/** The two roles' ways into one database, and what is not deterministic. */
export interface PilotContext {
  readonly observe: ConnectionTarget;
  /** The same as `observe` where one role has both parts. */
  readonly build: ConnectionTarget;
  /** Streaming replicas, whose workload and index use count as well where advice is made. */
  readonly replicas?: readonly ConnectionTarget[];
  /** What the knobs say. */
  readonly settings: Settings;
  readonly clock: Clock;
  /** End what you do. */
  readonly signal: AbortSignal;
  /** Begin nothing more; a build that has begun may go on. */
  readonly drain?: AbortSignal;
  readonly emit: Emit;
}

/** The same context for what may be broken off at any moment without loss. */
export const breakable = (context: PilotContext): PilotContext =>
  context.drain === undefined ? context : { ...context, signal: AbortSignal.any([context.signal, context.drain]) };

/**
 * Roles whose statements are ours and not the application's: the observing role, where it is not also the one that owns the tables. With a
 * single role nothing is left out by role, for the application may well be using it; what touches our own schema is left out always.
 */
export const ownRoles = ({ observe, build }: PilotContext): readonly string[] =>
  observe.user === build.user ? [] : [observe.user];

/** Sessions that act on the target, all of the build role, and the store. */
export interface ActingSessions {
  readonly build: Session;
  readonly watch: Session;
  readonly store: Store;
  readonly server: ServerIdentity;
  close(): Promise<void>;
}

/** Runs with one session and closes it, whatever happens. */
export const withSession = async <T>(open: Promise<Session>, work: (session: Session) => Promise<T>): Promise<T> => {
  const session = await open;
  try {
    return await work(session);
  } finally {
    await session.close();
  }
};

/**
 * Opens what changing something needs, and makes sure that both URLs lead to the same database.
 * @throws IndexPilotError as `openSession` and `openStore` do; `usage` when the URLs lead to different databases
 */
export const openActing = async (
  context: PilotContext,
  options: { readonly create: true; readonly acceptInstallation: boolean } | { readonly create: false },
): Promise<ActingSessions | null> => {
  const opened: Session[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((session) => session.close()));
  };
  const open = async (purpose: "build" | "watch" | "store"): Promise<Session> => {
    const session = await openSession(context.build, purpose);
    opened.push(session);
    return session;
  };
  try {
    const build = await open("build");
    const server = await readServerIdentity(build);
    await requireSameDatabase(context, server);
    const store = await openStore(await open("store"), { ...options, server, now: context.clock.now() });
    if (store === null) {
      await close();
      return null;
    }
    return { build, watch: await open("watch"), store, server, close };
  } catch (error) {
    await close();
    throw error;
  }
};

const requireSameDatabase = async ({ observe, build }: PilotContext, server: ServerIdentity): Promise<void> => {
  if (observe === build) return;
  const observed = await withSession(openSession(observe, "observe"), readServerIdentity);
  const same = observed.systemIdentifier === server.systemIdentifier && observed.databaseOid === server.databaseOid;
  if (same) return;
  throw failure("usage", {
    problem: `--url leads to database ${observed.database} and --build-url to ${server.database} of another server or name`,
    hint: "both must lead to the same database",
  });
};

/** The store over the build role's session, made where it is missing. @throws IndexPilotError as `openStore` does */
export const storeOver = async (session: Session, { clock }: Pick<PilotContext, "clock">): Promise<Store> => {
  const server = await readServerIdentity(session);
  const store = await openStore(session, { create: true, server, now: clock.now() });
  if (store === null) throw new Error("a store that may be created is never missing");
  return store;
};

/** Runs with the store over the build role, and nothing else. @throws IndexPilotError as `openSession` and `openStore` do */
export const withWritableStore = <T>(context: PilotContext, work: (store: Store) => Promise<T>): Promise<T> =>
  withSession(openSession(context.build, "store"), async (session) => work(await storeOver(session, context)));

/**
 * Opens the store for reading with the observing role; null where IndexPilot has not changed anything yet.
 * @throws IndexPilotError `installation_copied`, and as `openSession` does
 */
export const readStore = async <T>(context: PilotContext, work: (store: Store) => Promise<T>): Promise<T | null> =>
  withSession(openSession(context.observe, "store"), async (session) => {
    const server = await readServerIdentity(session);
    const store = await openStore(session, { create: false, server, now: context.clock.now() });
    return store === null ? null : work(store);
  });
