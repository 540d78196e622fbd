import { type Catalog, type HypotheticalIndex, type WhatIfRequest, type WhatIfResult } from "../../src/domain/index.ts";
import type { EmbeddedServer } from "../../src/embedded/index.ts";
import { asksBeyondKnownEnds } from "../../src/pilot/end-doubt.ts";
import { decodePlan, type Plan, planShape } from "../../src/plan/index.ts";
import {
  openSession,
  quoteIdentifier,
  readCatalog,
  renderCreateIndex,
  resolveConnection,
  type Session,
} from "../../src/postgres/index.ts";
import { readEndPoints, type ShadowPlanner, startShadow } from "../../src/shadow/index.ts";
import { sizeErrorOf } from "../../src/sizes/index.ts";
import type { Fixture } from "./fixture.ts";

/** One plan of the shadow against the server's own. */
export interface Comparison {
  readonly sql: string;
  /** The hypothetical index, as DDL. */
  readonly index: string | null;
  /** Cost here ÷ cost there; null where the shadow did not plan it. */
  readonly ratio: number | null;
  readonly sameShape: boolean;
  readonly detail: string;
  /** Whether advice that rests on this plan would be called doubtful: by calibration, or because only the built index knows where its column ends. */
  readonly doubted: boolean;
}

/** A hypothetical index's estimated bytes against the really built one's. */
export interface SizeComparison {
  readonly kind: string;
  readonly index: string;
  readonly estimated: number;
  readonly real: number;
  /** Whether the real size lies where `sizeErrorOf` says. */
  readonly asShown: boolean;
}

export interface Measures {
  readonly baseline: readonly Comparison[];
  readonly hypothetical: readonly Comparison[];
  readonly stale: readonly Comparison[];
  readonly sizes: readonly SizeComparison[];
  readonly leftOut: readonly { readonly object: string; readonly reason: string }[];
}

/** What the size errors are grouped by. */
const kindOf = ({ definition }: Pick<HypotheticalIndex, "definition">): string => {
  const opclass = definition.keys[0]?.opclass;
  if (definition.method !== "btree") {
    return opclass === undefined ? definition.method : `${definition.method} ${opclass}`;
  }
  if (definition.keys.some((key) => key.expression !== undefined)) return "btree expression";
  if (definition.where !== undefined) return "btree partial";
  if (definition.include.length > 0) return "btree include";
  return definition.keys.length > 1 ? "btree multi-column" : "btree";
};

/** Explains a statement as the application would run it. */
const explain = async (session: Session, fixture: Fixture, sql: string): Promise<Plan> => {
  const results = await session.script(
    `savepoint one; set local role ${quoteIdentifier(fixture.role)};
     set local search_path = ${fixture.searchPath.map(quoteIdentifier).join(", ")};
     explain (format json) ${sql}; rollback to savepoint one`,
  );
  return decodePlan(results[3]?.[0]?.["QUERY PLAN"]);
};

const request = (fixture: Fixture, sql: string, visible: readonly string[] = []): WhatIfRequest => ({
  binding: { sql, share: 1, source: "literal" },
  scope: { role: fixture.role, searchPath: fixture.searchPath },
  visible: new Set(visible),
  hidden: new Set(),
});

const compare = (
  fixture: Fixture,
  sql: string,
  index: string | null,
  real: Plan,
  result: WhatIfResult | undefined,
  existing: ReadonlySet<string>,
  isDoubted: (sameShape: boolean, ratio: number) => boolean,
): Comparison => {
  if (result?.kind !== "planned") {
    const detail = `failed: ${result?.reason ?? "no index"}`;
    return { sql, index, ratio: null, sameShape: false, detail, doubted: true };
  }
  // Whatever was not there before belongs to the candidate; a partition's index has another name here than there.
  const shapes = [real, result.plan].map((plan) =>
    planShape(plan, (name) => (existing.has(name) ? name : "the candidate")),
  );
  const ratio = real.root.totalCost === 0 ? 1 : result.totalCost / real.root.totalCost;
  const costs = `cost ${real.root.totalCost.toFixed(2)} there, ${result.totalCost.toFixed(2)} here (× ${ratio.toFixed(3)})`;
  const sameShape = shapes[0] === shapes[1];
  const cause = fixture.causes?.find((one) => [index ?? "", ...shapes].some((text) => one.index.test(text)));
  const detail = [
    costs,
    ...(sameShape ? [] : [`there ${shapes[0] ?? ""}`, `here  ${shapes[1] ?? ""}`]),
    ...(cause === undefined ? [] : [`cause: ${cause.cause}`]),
  ].join("\n      ");
  return { sql, index, ratio, sameShape, detail, doubted: isDoubted(sameShape, ratio) };
};

/** What `advise` sees by asking the target. */
const differs = (sameShape: boolean, ratio: number): boolean => !sameShape || Math.abs(ratio - 1) > 0.01;

const compareAll = async (
  owner: Session,
  shadow: ShadowPlanner,
  catalog: Catalog,
  fixture: Fixture,
): Promise<Comparison[]> => {
  const results = await shadow.plan(fixture.queries.map((sql) => request(fixture, sql)));
  const existing = new Set(catalog.tables.flatMap((table) => table.indexes.map((index) => index.name)));
  const comparisons: Comparison[] = [];
  await owner.script("begin");
  for (const [i, sql] of fixture.queries.entries()) {
    const real = await explain(owner, fixture, sql);
    comparisons.push(compare(fixture, sql, null, real, results[i], existing, differs));
  }
  await owner.script("rollback");
  return comparisons;
};

const sizeStatement = `
with recursive part (oid) as (
  select 'bench_candidate'::regclass::oid union all select h.inhrelid from part p join pg_inherits h on h.inhparent = p.oid
)
select sum(pg_relation_size(oid))::text as bytes from part`;

const compareCandidates = async (
  owner: Session,
  shadow: ShadowPlanner,
  catalog: Catalog,
  fixture: Fixture,
): Promise<{ comparisons: Comparison[]; sizes: SizeComparison[] }> => {
  const comparisons: Comparison[] = [];
  const sizes: SizeComparison[] = [];
  const existing = new Set(catalog.tables.flatMap((table) => table.indexes.map((index) => index.name)));
  for (const { definition, queries } of fixture.pairs) {
    const [candidate] = await shadow.register([definition]);
    const results =
      candidate === undefined ? [] : await shadow.plan(queries.map((sql) => request(fixture, sql, [candidate.id])));
    await owner.script(
      `begin; set local search_path = ${fixture.searchPath.map(quoteIdentifier).join(", ")};
       ${renderCreateIndex(definition, "bench_candidate", { concurrently: false })}`,
    );
    const [, , ddl = ""] =
      /^create index (\S+ on )(.*)$/.exec(renderCreateIndex(definition, "i", { concurrently: false })) ?? [];
    await owner.script(`set local search_path = ${fixture.searchPath.map(quoteIdentifier).join(", ")}`);
    const [row] = await owner.query<{ bytes: string }>(sizeStatement);
    if (candidate !== undefined) {
      const { low, high } = sizeErrorOf(definition);
      const { estimatedBytes: estimated } = candidate;
      const real = Number(row?.bytes);
      const asShown = real >= low * estimated && real <= high * estimated;
      sizes.push({ kind: kindOf(candidate), index: ddl, estimated, real, asShown });
    }
    for (const [i, sql] of queries.entries()) {
      const isDoubted = (): boolean =>
        candidate !== undefined &&
        asksBeyondKnownEnds(catalog, { index: candidate }, { bindings: [request(fixture, sql).binding] });
      const real = await explain(owner, fixture, sql);
      comparisons.push(compare(fixture, sql, ddl, real, results[i], existing, isDoubted));
    }
    await owner.script("rollback");
  }
  return { comparisons, sizes };
};

/** Fills a database of the server and compares its planner's answers with the shadow's. */
export const measure = async (server: EmbeddedServer, fixture: Fixture, scale: number): Promise<Measures> => {
  const owner = await openSession(resolveConnection(server.url(fixture.name), {}), "build");
  const observer = await openSession(resolveConnection(server.url(fixture.name, "observer"), {}), "observe");
  const shadowOf = async (): Promise<{ catalog: Catalog; shadow: ShadowPlanner }> => {
    await owner.script(server.major >= 15 ? "select pg_stat_force_next_flush(); select 1" : "select pg_sleep(1.2)");
    const catalog = await readCatalog(observer);
    const endPoints = await readEndPoints(observer, catalog, new Map());
    return { catalog, shadow: await startShadow(catalog, { endPoints }) };
  };
  try {
    await owner.script(fixture.fill(scale));
    await owner.script("vacuum analyze");
    const fresh = await shadowOf();
    const baseline = await compareAll(owner, fresh.shadow, fresh.catalog, fixture);
    const { comparisons, sizes } = await compareCandidates(owner, fresh.shadow, fresh.catalog, fixture);
    const { leftOut } = fresh.shadow;
    await fresh.shadow.close();
    await owner.script(fixture.change);
    const later = await shadowOf();
    const stale = await compareAll(owner, later.shadow, later.catalog, fixture);
    await later.shadow.close();
    return { baseline, hypothetical: comparisons, stale, sizes, leftOut };
  } finally {
    await Promise.all([owner.close(), observer.close()]);
  }
};
