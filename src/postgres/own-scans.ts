/** How often we scanned an index ourselves, by its OID. */
export type OwnScans = Map<number, number>;

/**
 * What this session has counted so far for the target's indexes and not yet reported: only ever used as a difference within one transaction, for
 * PostgreSQL reports between transactions. Needs no privilege.
 */
export const ownScansSql = `
  select i.indexrelid::bigint as oid, pg_catalog.pg_stat_get_xact_numscans(i.indexrelid) as scans
    from pg_catalog.pg_index i
   where i.indexrelid >= 16384 and pg_catalog.pg_stat_get_xact_numscans(i.indexrelid) > 0;`;

/** The same for the indexes of one table, where nothing else can be scanned: it looks at these alone. */
export const ownScansOfSql = (tableOid: number): string =>
  ownScansSql.replace("where ", `where i.indrelid = ${String(tableOid)} and `);

type ScanRow = Readonly<Record<string, unknown>>;

const count = (rows: readonly ScanRow[]): OwnScans =>
  new Map(rows.map((row) => [Number(row["oid"]), Number(row["scans"])]));

/** Adds what happened between two results of {@link ownScansSql} in one transaction. */
export const addOwnScans = (ledger: OwnScans, before: readonly ScanRow[], after: readonly ScanRow[]): void => {
  const earlier = count(before);
  for (const [oid, scans] of count(after)) {
    const more = scans - (earlier.get(oid) ?? 0);
    if (more > 0) ledger.set(oid, (ledger.get(oid) ?? 0) + more);
  }
};
