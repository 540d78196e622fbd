import {
  type Catalog,
  definitionId,
  type ExistingIndex,
  type HypotheticalIndex,
  type IndexDefinition,
  majorVersion,
  tableId,
  type WhatIfPlanner,
  type WhatIfRequest,
  type WhatIfResult,
} from "../domain/index.ts";
import { availableMajors, type EmbeddedServer, startEmbedded, startPortable } from "../embedded/index.ts";
import { IndexPilotError } from "../errors.ts";
import {
  type ConnectionTarget,
  openSession,
  quoteIdentifier,
  resolveConnection,
  type Session,
} from "../postgres/index.ts";
import { plannableRoles, PLANNER_ROLE } from "./access.ts";
import { attempt, installAttempt } from "./attempt.ts";
import { buildSchema, finishSchema, importSizesAndStatistics, type LeftOut, storedTables } from "./build.ts";
import { buildCandidates, type BuiltCandidate, type CandidateOrder } from "./candidates.ts";
import { createShadowDatabase, sessionSettingSteps, settingSteps, SHADOW_DATABASE } from "./database.ts";
import { type EndPoints, endPointsByColumn, type EndPointsOf } from "./end-points.ts";
import { installLeaves } from "./leaves.ts";
import { installMove, makeFreshTablespace } from "./metapages.ts";
import { readPredicateRows } from "./predicate.ts";
import type { ShadowRelations } from "./relations.ts";
import { explainRequests, type IndexDirectory, installShowIndexes, installWhatIf } from "./what-if.ts";

export interface ShadowOptions {
  /** What `readEndPoints` found on the target: without it, ranges beyond stale histograms are costed too low. */
  readonly endPoints?: readonly EndPoints[];
  /** Server settings on top of the shadow's own; for tests. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Starts the server; for tests of machines where that fails. */
  readonly startServer?: typeof startEmbedded;
}

/** A target's planner without the target. */
export interface ShadowPlanner extends WhatIfPlanner {
  readonly name: "shadow";
  /** What could not be rebuilt, for people. Statements that need it come back as `failed`, or are planned a little differently. */
  readonly leftOut: readonly LeftOut[];
  /** Why none of its answers may be trusted, however alike they look; null where there is no such reason. */
  readonly doubt: string | null;
  /** Whether {@link connection} may be used: where there is one connection, the planner has it. */
  readonly connections: "many" | "one";
  /** Its database: `readCatalog` there answers what `readCatalog` answered on the target. */
  connection(): ConnectionTarget;
}

const serverSettings = {
  // Either would count the missing rows.
  autovacuum: "off",
  wal_level: "replica",
  jit: "off",
  shared_preload_libraries: "",
  // One planning transaction may lock every candidate of every table.
  max_locks_per_transaction: "1024",
  max_connections: "10",
  // Error messages quote values of the user's.
  log_min_messages: "fatal",
};

/** Without time-outs: the shadow serves nobody else. */
const open = (server: EmbeddedServer, database: string, user?: string): Promise<Session> =>
  openSession(resolveConnection(server.url(database, user), {}), "build");

/**
 * Starts an embedded server of the target's major version and rebuilds the target in it: schema, statistics, sizes, settings; no rows. About a
 * second, more with thousands of columns. The shadow holds values from the target's statistics: it is as sensitive as the data, and open to
 * this process only.
 * @throws IndexPilotError `embedded_missing` and the others of `startEmbedded`
 */
export const startShadow = async (catalog: Catalog, options: ShadowOptions = {}): Promise<ShadowPlanner> => {
  const { server, instead } = await startServer(majorVersion(catalog.server.versionNum), options);
  try {
    return await rebuild(server, catalog, endPointsByColumn(options.endPoints ?? []), instead);
  } catch (error) {
    await server.stop();
    throw error;
  }
};

/** The server, and why it is not the embedded one of this major; null where it is. */
const startServer = async (
  major: number,
  options: ShadowOptions,
): Promise<{ readonly server: EmbeddedServer; readonly instead: string | null }> => {
  const settings = { ...serverSettings, ...options.settings };
  const start = options.startServer ?? startEmbedded;
  try {
    const server = await start({
      major,
      settings,
      access: "owner",
      // A page that was never written would have a wrong checksum; before 18, none is the default.
      ...(major >= 18 ? { initdbArguments: ["--no-data-checksums"] } : {}),
    });
    return { server, instead: null };
  } catch (error) {
    if (!(error instanceof IndexPilotError) || !runsNoServer(error)) throw error;
    try {
      return { server: await startPortable(settings), instead: error.message };
    } catch {
      // The stand-in is an optional package: what to do about the server is the better advice.
      throw error;
    }
  }
};

/** Whether this machine runs no server of ours at all. Where only this major is missing, one command brings it. */
const runsNoServer = ({ code }: IndexPilotError): boolean =>
  code === "embedded_start" ||
  code === "embedded_no_user" ||
  (code === "embedded_missing" && availableMajors().length === 0);

const rebuild = async (
  server: EmbeddedServer,
  catalog: Catalog,
  endPoints: EndPointsOf,
  instead: string | null,
): Promise<ShadowPlanner> => {
  const major = majorVersion(catalog.server.versionNum);
  const stranger = server.major === major ? "" : ` in place of ${String(major)}`;
  const leftOut: LeftOut[] =
    instead === null
      ? []
      : [
          {
            object: "the server",
            reason: `PostgreSQL ${String(server.major)} as WebAssembly plans${stranger}: ${instead}`,
          },
        ];
  const administrator = await open(server, "postgres");
  const collation = await createShadowDatabase(administrator, catalog, server.major);
  await makeFreshTablespace(administrator);
  await administrator.close();
  if (collation !== null) {
    leftOut.push({
      object: `collation ${collation}`,
      reason: "this machine does not have it, so texts sort differently",
    });
  }

  const builder = await open(server, SHADOW_DATABASE);
  await builder.script(
    `set search_path = pg_catalog; set client_min_messages = error; set check_function_bodies = off;
     set allow_system_table_mods = on`,
  );
  await installAttempt(builder);
  const password = decodeURIComponent(new URL(server.url()).password);
  leftOut.push(...(await buildSchema(builder, catalog, password)));
  await installLeaves(builder);
  await installMove(builder);
  const { relations, leftOut: unread } = await importSizesAndStatistics(
    builder,
    catalog,
    server.dataDirectory,
    endPoints,
  );
  leftOut.push(...unread, ...(await finishSchema(builder, catalog)));
  await installShowIndexes(builder);
  // Candidates name operator classes of extensions without their schema.
  const ofExtensions = new Set(catalog.extensions.map((one) => one.schema));
  await builder.query(`set search_path = ${["pg_catalog", ...ofExtensions].map(quoteIdentifier).join(", ")}`);
  for (const { step, reason } of await attempt(builder, settingSteps(catalog))) {
    leftOut.push({ object: step.object, reason });
  }

  // With one connection it is the administrator's, and what it has to itself is a sandbox.
  const planner = server.connections === "one" ? builder : await open(server, SHADOW_DATABASE, PLANNER_ROLE);
  if (planner === builder) await attempt(builder, sessionSettingSteps(catalog));
  await installWhatIf(planner);
  const doubt = stranger === "" ? null : `planned by PostgreSQL ${String(server.major)}${stranger}`;
  return new Shadow({ server, builder, planner, catalog, relations, leftOut, doubt, endPoints });
};

interface ShadowParts {
  readonly server: EmbeddedServer;
  /** Never sees a table at its full length (see `buildCandidates`). */
  readonly builder: Session;
  readonly planner: Session;
  readonly catalog: Catalog;
  readonly relations: ShadowRelations;
  readonly leftOut: readonly LeftOut[];
  readonly doubt: string | null;
  readonly endPoints: EndPointsOf;
}

class Shadow implements ShadowPlanner {
  readonly name = "shadow";
  readonly canHide = true;
  readonly leftOut: readonly LeftOut[];
  readonly doubt: string | null;
  readonly #server: EmbeddedServer;
  readonly #builder: Session;
  readonly #planner: Session;
  readonly #catalog: Catalog;
  readonly #relations: ShadowRelations;
  readonly #endPoints: EndPointsOf;
  readonly #directory: IndexDirectory;
  readonly #existing: ReadonlySet<number>;
  readonly #candidates = new Map<string, BuiltCandidate>();
  // A partition's index can belong to a candidate on the partition and to one on its parent.
  readonly #idsByPlanName = new Map<string, string[]>();
  #registered = 0;
  // Building and planning exclude each other, and a session does one thing at a time.
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: ShadowParts) {
    this.leftOut = parts.leftOut;
    this.doubt = parts.doubt;
    this.#server = parts.server;
    this.#builder = parts.builder;
    this.#planner = parts.planner;
    this.#catalog = parts.catalog;
    this.#relations = parts.relations;
    this.#endPoints = parts.endPoints;
    this.#existing = new Set([...parts.relations.values()].map((relation) => relation.oid));
    this.#directory = this.#makeDirectory();
  }

  register(definitions: readonly IndexDefinition[]): Promise<readonly HypotheticalIndex[]> {
    return this.#inTurn(async () => {
      const unknown = new Map(
        definitions.map((one) => [definitionId(one), one] as const).filter(([id]) => !this.#candidates.has(id)),
      );
      const orders: CandidateOrder[] = [];
      for (const definition of unknown.values()) {
        const table = this.#catalog.tables.find((one) => tableId(one) === tableId(definition.table));
        if (table === undefined || !this.#relations.has(tableId(table))) continue;
        this.#registered += 1;
        const planName = `indexpilot_candidate_${String(this.#registered)}`;
        const tables = storedTables(this.#catalog, table, this.#relations);
        const predicateRows = await readPredicateRows(this.#planner, definition.where ?? null, tables);
        orders.push({ definition, planName, tables, predicateRows });
      }
      const candidates = new Set([...this.#candidates.values()].flatMap((one) => one.parts.map((part) => part.oid)));
      const known = { existing: this.#existing, candidates, forget: this.#planner === this.#builder };
      for (const candidate of await buildCandidates(
        this.#builder,
        this.#server.dataDirectory,
        orders,
        known,
        this.#endPoints,
      )) {
        this.#candidates.set(candidate.id, candidate);
        for (const { name } of candidate.parts) {
          this.#idsByPlanName.set(name, [...(this.#idsByPlanName.get(name) ?? []), candidate.id]);
        }
      }
      return definitions.flatMap((definition) => this.#candidates.get(definitionId(definition)) ?? []);
    });
  }

  plan(requests: readonly WhatIfRequest[]): Promise<readonly WhatIfResult[]> {
    return this.#inTurn(() => explainRequests(this.#planner, this.#directory, requests));
  }

  get connections(): "many" | "one" {
    return this.#server.connections;
  }

  connection(): ConnectionTarget {
    return resolveConnection(this.#server.url(SHADOW_DATABASE), {});
  }

  async close(): Promise<void> {
    await this.#last.catch(() => undefined);
    await Promise.all([this.#builder.close(), this.#planner.close()]);
    await this.#server.stop();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  #makeDirectory(): IndexDirectory {
    const indexes = new Map<number, ExistingIndex>();
    const parts = new Map<number, number[]>();
    for (const index of this.#catalog.tables.flatMap((table) => table.indexes)) {
      indexes.set(index.oid, index);
      if (index.parentOid !== null) parts.set(index.parentOid, [...(parts.get(index.parentOid) ?? []), index.oid]);
    }
    const roles = plannableRoles(this.#catalog);
    const hiddenFor = (oid: number): number[] => {
      const index = indexes.get(oid);
      const relation = index === undefined ? undefined : this.#relations.get(tableId(index));
      return [...(relation === undefined ? [] : [relation.oid]), ...(parts.get(oid) ?? []).flatMap(hiddenFor)];
    };
    return {
      hiddenFor,
      shownFor: (id) => this.#candidates.get(id)?.parts.map((part) => part.oid) ?? [],
      candidatesNamed: (name) => this.#idsByPlanName.get(name) ?? [],
      settingsOf: (role) => roles.get(role),
    };
  }
}
