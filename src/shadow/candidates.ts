import { join } from "node:path";
import {
  definitionId,
  type HypotheticalIndex,
  type IndexDefinition,
  type Table,
  type TableName,
  tableId,
} from "../domain/index.ts";
import { renderCreateIndex, type Session } from "../postgres/index.ts";
import { attempt } from "./attempt.ts";
import type { EndPoints, EndPointsOf } from "./end-points.ts";
import { estimateIndexSize, type ExpressionType, type IndexSize } from "../sizes/index.ts";
import { makeLeaves } from "./leaves.ts";
import { moveToFreshFiles, writeBrin, writeGin } from "./metapages.ts";
import type { ShadowRelation } from "./relations.ts";
import { type RelationSize, writeRelationSizes } from "./statistics.ts";
import { setLength, writeTree } from "./storage.ts";

/** A candidate built in the shadow. */
export interface BuiltCandidate extends HypotheticalIndex {
  /** Its own index and, on a partitioned table, those of the partitions; OIDs and names in the shadow. */
  readonly parts: readonly { readonly oid: number; readonly name: string }[];
}

/** A table with storage, where it is in the shadow, and how `pg_class` must describe it. */
export interface StoredTable {
  readonly table: Table;
  readonly relation: ShadowRelation & { readonly file: string };
}

export interface CandidateOrder {
  readonly definition: IndexDefinition;
  /** Unique in the shadow. */
  readonly planName: string;
  /** The table itself, or a partitioned table's partitions that have storage. */
  readonly tables: readonly StoredTable[];
  /** Rows that the predicate lets in, by table; empty without a predicate. */
  readonly predicateRows: ReadonlyMap<string, number>;
}

const tableSize = ({ table, relation }: StoredTable): RelationSize => ({
  oid: relation.oid,
  pages: table.pages,
  tuples: table.tuples,
  allVisiblePages: table.allVisiblePages,
});

interface PartRow {
  readonly root: string;
  readonly oid: number;
  readonly name: string;
  readonly table_oid: number;
  readonly path: string | null;
  readonly method: string;
  readonly expression_types: ExpressionType[];
}

const partStatement = `
with recursive part (root, oid) as (
  select c.relname, c.oid from pg_class c join pg_index x on x.indexrelid = c.oid where c.relname = any ($1)
  union all
  select p.root, h.inhrelid from part p join pg_inherits h on h.inhparent = p.oid
)
select p.root, c.oid, c.relname as name, x.indrelid as table_oid, pg_relation_filepath(c.oid) as path, m.amname as method,
       (select coalesce(json_agg(json_build_object('type', t.typname, 'bytes', t.typlen) order by a.attnum), '[]')
          from pg_attribute a join pg_type t on t.oid = pg_temp.base_type(a.atttypid)
         where a.attrelid = c.oid and a.attnum <= x.indnkeyatts and x.indkey[a.attnum - 1] = 0) as expression_types
  from part p join pg_class c on c.oid = p.oid join pg_index x on x.indexrelid = p.oid join pg_am m on m.oid = c.relam
 order by c.oid`;

// PostgreSQL names a partition's index after its columns, as it may have named another one elsewhere.
const hideStatement = `
with hidden as (update pg_index set indisvalid = false where indexrelid = any ($1))
update pg_class set relname = $2 || oid where oid = any ($1) and relname <> all ($3)
returning oid, relname as name`;

/** Methods whose metapage the planner reads, and whose build leaves it in the buffers. */
const buffered = new Set(["gin", "brin"]);

/** The ends that the planner would ask a candidate for: only of whole B-trees in the type's own order. */
const endsFor = ({ method, keys, where }: IndexDefinition, table: TableName, ends: EndPointsOf): EndPoints | null => {
  const [leading] = keys;
  const isPlain = keys.every((key) => key.expression === undefined && key.opclass === undefined);
  return leading === undefined || method !== "btree" || where !== undefined || !isPlain
    ? null
    : ends(table, leading.column);
};

const writeIndex = (file: string, method: string, size: IndexSize, leaf: Buffer | null): void => {
  if (method === "btree") writeTree(file, size.pages, size.height, leaf);
  else if (size.gin !== undefined) writeGin(file, size.pages, size.gin);
  else if (size.revmapPages !== undefined) writeBrin(file, size.pages, size.revmapPages);
  else setLength(file, size.pages);
};

/**
 * Builds candidates on empty tables, then gives each the size and height that it would have, and hides it. Those that cannot be built are left
 * out of the answer. Nothing may plan meanwhile: the tables are cut to no length, so that the build reads nothing.
 * @param session one that never sees these tables at their full length, for it would remember their segments; else it is made to `forget` them
 * @param known OIDs of indexes that are there already: PostgreSQL takes a partition's matching index in instead of building one
 */
export const buildCandidates = async (
  session: Session,
  dataDirectory: string,
  orders: readonly CandidateOrder[],
  known: { readonly existing: ReadonlySet<number>; readonly candidates: ReadonlySet<number>; readonly forget: boolean },
  endPoints: EndPointsOf,
): Promise<BuiltCandidate[]> => {
  if (orders.length === 0) return [];
  const tables = new Map(orders.flatMap((order) => order.tables.map((one) => [one.relation.oid, one] as const)));
  for (const { relation } of tables.values()) setLength(relation.file, 0);
  try {
    // A change of its row in pg_class makes a backend close a relation's files.
    if (known.forget)
      await session.query("update pg_class set relname = relname where oid = any ($1)", [[...tables.keys()]]);
    await attempt(
      session,
      orders.map(({ definition, planName }) => ({
        object: planName,
        sql: renderCreateIndex(definition, planName, { concurrently: false }),
      })),
    );
    const names = orders.map((order) => order.planName);
    const readParts = async (): Promise<PartRow[]> =>
      (await session.query<PartRow>(partStatement, [names])).filter((part) => !known.existing.has(part.oid));
    let parts = await readParts();
    const isFresh = (part: PartRow): boolean => !known.candidates.has(part.oid);
    const moved = parts.filter((part) => isFresh(part) && part.path !== null && buffered.has(part.method));
    if (moved.length > 0) {
      await moveToFreshFiles(
        session,
        moved.map((part) => part.oid),
      );
      parts = await readParts();
    }
    const fresh = parts.filter(isFresh).map((part) => part.oid);
    const renamed = new Map(
      (
        await session.query<{ oid: number; name: string }>(hideStatement, [fresh, `${names[0] ?? ""}_part_`, names])
      ).map((row) => [row.oid, row.name]),
    );
    const leaves = await makeLeaves(
      session,
      dataDirectory,
      parts.flatMap((part) => {
        const definition = orders.find((order) => order.planName === part.root)?.definition;
        const table = tables.get(part.table_oid)?.table;
        const ends = definition === undefined || table === undefined ? null : endsFor(definition, table, endPoints);
        return ends === null || !isFresh(part) ? [] : [{ oid: part.oid, ends }];
      }),
    );
    const sizes: RelationSize[] = [];
    const built = orders.flatMap(({ definition, planName, predicateRows }): BuiltCandidate[] => {
      const own = parts.filter((part) => part.root === planName);
      if (own.length === 0) return [];
      let estimatedBytes = 0;
      let uncertain: string | undefined;
      for (const part of own) {
        const stored = tables.get(part.table_oid);
        if (stored === undefined || part.path === null) continue;
        const size = estimateIndexSize(stored.table, definition, {
          rows: predicateRows.get(tableId(stored.table)) ?? null,
          expressionTypes: part.expression_types,
        });
        estimatedBytes += size.bytes;
        uncertain ??= size.uncertain;
        if (!isFresh(part)) continue;
        writeIndex(join(dataDirectory, part.path), part.method, size, leaves.get(part.oid) ?? null);
        sizes.push({ oid: part.oid, pages: size.pages, tuples: size.rows, allVisiblePages: 0 });
      }
      return [
        {
          id: definitionId(definition),
          definition,
          estimatedBytes,
          planName,
          ...(uncertain === undefined ? {} : { uncertain }),
          parts: own.map(({ oid, name }) => ({ oid, name: renamed.get(oid) ?? name })),
        },
      ];
    });
    // Before 18, CREATE INDEX has noted the tables as empty.
    await writeRelationSizes(session, [...sizes, ...[...tables.values()].map(tableSize)]);
    return built;
  } finally {
    for (const { table, relation } of tables.values()) setLength(relation.file, table.blocks);
  }
};
