import { join } from "node:path";
import { type TableName, tableId } from "../domain/index.ts";
import type { Session } from "../postgres/index.ts";

/** A relation of the shadow. */
export interface ShadowRelation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Its first file's full path; null for what has no storage (partitioned tables and indexes, views). */
  readonly file: string | null;
}

/** Relations of the shadow by name. */
export type ShadowRelations = ReadonlyMap<string, ShadowRelation>;

const statement = `
select c.oid, n.nspname as schema, c.relname as name, pg_relation_filepath(c.oid) as path
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`;

export const readShadowRelations = async (session: Session, dataDirectory: string): Promise<ShadowRelations> => {
  const rows = await session.query<TableName & { oid: number; path: string | null }>(statement);
  return new Map(
    rows.map(({ oid, schema, name, path }) => [
      tableId({ schema, name }),
      { oid, schema, name, file: path === null ? null : join(dataDirectory, path) },
    ]),
  );
};
