import {
  type Catalog,
  definitionId,
  type HypotheticalIndex,
  type IndexDefinition,
  type IndexMethod,
  unseenExpression,
  type WhatIfPlanner,
  type WhatIfRequest,
  type WhatIfResult,
} from "../domain/index.ts";
import { failure } from "../errors.ts";
import { decodePlan, type Plan, usedIndexNames } from "../plan/index.ts";
import { quoteIdentifier, quoteLiteral, renderCreateIndex, type Session } from "../postgres/index.ts";
import { explainText, runParts, type ScriptPart, searchPathText } from "./explain-script.ts";

/** EXPLAINs per round trip: enough to make the trip's latency small, few enough to keep one message under a megabyte. */
const partsPerTrip = 64;
/** Without real OIDs HypoPG has about 2,500 to give out at a time (those below 16384 that no catalogue uses). */
const definitionsPerTrip = 500;

/** Those that HypoPG can make, of those we know (`hypo_index_store_parsetree`). */
const representable: ReadonlySet<IndexMethod> = new Set<IndexMethod>(["btree", "brin", "hash"]);

interface Registered extends HypotheticalIndex {
  readonly ddl: string;
}

/**
 * The what-if planner of a target that has the extension HypoPG. Hypothetical indexes live in this session's memory only; nobody else sees them.
 * HypoPG before 1.4 cannot switch an index off, so each EXPLAIN makes the indexes it may use anew (measured: 5 µs each).
 *
 * The session stays the caller's; until `close` nothing else may use HypoPG on it.
 * @throws IndexPilotError `extension_missing`
 */
export const openHypopg = async (session: Session, catalog: Catalog): Promise<WhatIfPlanner> => {
  // Reads two catalogues; any role may.
  const [extension] = await session.query<{ schema: string; version: string }>(
    `select n.nspname as schema, e.extversion as version
       from pg_extension e join pg_namespace n on n.oid = e.extnamespace
      where e.extname = 'hypopg'`,
  );
  if (extension === undefined) {
    throw failure("extension_missing", {
      extension: "hypopg",
      remedy: `run \`create extension hypopg\` in database ${catalog.server.database} (Debian: package postgresql-${String(Math.floor(session.versionNum / 10_000))}-hypopg), or use --what-if shadow`,
    });
  }
  const call = (name: string): string => `${quoteIdentifier(extension.schema)}.${name}`;
  const [major = 0, minor = 0] = extension.version.split(".").map(Number);
  const canHide = major > 1 || (major === 1 && minor >= 4);
  // Loading the library defines the setting. Real OIDs would use up the target's, and are not to be had on a replica.
  await session.script(`select ${call("hypopg_reset")}(); set hypopg.use_real_oids = off;`);

  const registered = new Map<string, Registered>();

  const makeIndexes = (indexes: readonly { readonly ddl: string }[], columns: string): string =>
    `select ${columns} from unnest(array[${indexes.map(({ ddl }) => quoteLiteral(ddl)).join(", ")}]::text[]) with ordinality as d(ddl, n),
       lateral ${call("hypopg_create_index")}(d.ddl) as i order by d.n;`;

  const register = async (definitions: readonly IndexDefinition[]): Promise<HypotheticalIndex[]> => {
    const unknown = new Map<string, { id: string; definition: IndexDefinition; ddl: string }>();
    for (const definition of definitions.filter((one) => representable.has(one.method))) {
      const id = definitionId(definition);
      const ddl = renderCreateIndex(definition, null, { concurrently: false });
      if (!registered.has(id)) unknown.set(id, { id, definition, ddl });
    }
    const entries = [...unknown.values()];
    for (let start = 0; start < entries.length; start += definitionsPerTrip) {
      const parts = entries.slice(start, start + definitionsPerTrip).map((entry) => ({
        sql: `select ${call("hypopg_reset")}();\n${makeIndexes([entry], `i.indexname as name, ${call("hypopg_relation_size")}(i.indexrelid)::text as bytes`)}`,
        statements: 2,
        read: (results: readonly (readonly Record<string, unknown>[])[]) => results[1]?.[0],
      }));
      const outcomes = await runParts(session, parts);
      for (const [position, outcome] of outcomes.entries()) {
        const entry = entries[start + position];
        // What HypoPG cannot represent is left out of the answer, as the interface says.
        if (entry === undefined || outcome.kind === "refused" || outcome.value === undefined) continue;
        registered.set(entry.id, {
          ...entry,
          estimatedBytes: Number(outcome.value["bytes"]),
          planName: `<${String(registered.size + 1)}>${stripNumber(String(outcome.value["name"]))}`,
          ...(entry.definition.keys.some((key) => key.expression !== undefined) ? { uncertain: unseenExpression } : {}),
        });
      }
    }
    return definitions.flatMap((definition) => {
      const one = registered.get(definitionId(definition));
      if (one === undefined) return [];
      const { ddl: _, ...index } = one;
      return [index];
    });
  };

  const toPart = (request: WhatIfRequest): ScriptPart<Planned> => {
    const visible = [...request.visible].flatMap((id) => registered.get(id) ?? []);
    const statements = [`select ${call("hypopg_reset")}();`];
    if (canHide) {
      statements.push(`select ${call("hypopg_unhide_all_indexes")}();`);
      for (const oid of request.hidden) statements.push(`select ${call("hypopg_hide_index")}(${String(oid)}::oid);`);
    }
    const made = visible.length > 0 ? statements.length : null;
    if (made !== null) statements.push(makeIndexes(visible, "i.indexname as name"));
    statements.push(searchPathText(request.scope.searchPath), explainText(request.binding.sql));
    return {
      sql: statements.join("\n"),
      statements: statements.length,
      read: (results) => {
        const names = new Map<string, Registered>();
        for (const [position, row] of (made === null ? [] : (results[made] ?? [])).entries()) {
          const index = visible[position];
          if (index !== undefined) names.set(String(row["name"]), index);
        }
        return readPlan(results.at(-1)?.[0]?.["QUERY PLAN"], names);
      },
    };
  };

  return {
    name: "hypopg",
    canHide,
    register,
    async plan(requests): Promise<WhatIfResult[]> {
      const results: WhatIfResult[] = [];
      for (let start = 0; start < requests.length; start += partsPerTrip) {
        const parts = requests.slice(start, start + partsPerTrip).map(toPart);
        for (const outcome of await runParts(session, parts)) {
          results.push(
            outcome.kind === "read"
              ? { kind: "planned", ...outcome.value }
              : { kind: "failed", reason: outcome.reason },
          );
        }
      }
      return results;
    },
    async close() {
      await session.script(
        `select ${call("hypopg_reset")}();${canHide ? ` select ${call("hypopg_unhide_all_indexes")}();` : ""} reset hypopg.use_real_oids;`,
      );
    },
  };
};

interface Planned {
  readonly plan: Plan;
  readonly totalCost: number;
  readonly usedIndexes: readonly string[];
}

// HypoPG's names begin with the OID of the moment, `<13556>btree_orders_customer_id`.
const stripNumber = (name: string): string => name.replace(/^<\d+>/, "");

const readPlan = (value: unknown, names: ReadonlyMap<string, Registered>): Planned => {
  const plan = decodePlan(renameIndexes(value, names));
  const ids = new Map([...names.values()].map((index) => [index.planName, index.id]));
  return {
    plan,
    totalCost: plan.root.totalCost,
    usedIndexes: usedIndexNames(plan).map((name) => ids.get(name) ?? name),
  };
};

const renameIndexes = (value: unknown, names: ReadonlyMap<string, Registered>): unknown => {
  if (Array.isArray(value)) return value.map((item) => renameIndexes(item, names));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      key === "Index Name" && typeof item === "string"
        ? (names.get(item)?.planName ?? item)
        : renameIndexes(item, names),
    ]),
  );
};
