import type { Catalog, TableAccess } from "../domain/index.ts";

/** Names that multi-tenant schemas give the column that says whose row it is. */
const tenantName =
  /^(tenant|org|organi[sz]ation|account|workspace|company|shop|store|site|team|project|client|customer)_?(id|uuid|key|code)?$/i;
/** One table with such a column may be anything; several that are all searched by it are tenants' tables. */
const leastTables = 2;
/** Of the accesses to those tables, by weight, so many name the tenant. */
const leastShare = 0.7;

/** Whether a column is called as the one is that says whose row it is. */
export const namesTenant = (column: string): boolean => tenantName.test(column);

/** The columns, by name, by which most of the workload singles out one tenant's rows in several tables. */
export const tenantColumns = ({
  catalog,
  statements,
}: {
  readonly catalog: Catalog;
  readonly statements: readonly { readonly accesses: readonly TableAccess[]; readonly weight?: number }[];
}): ReadonlySet<string> => {
  const having = new Map<string, Set<string>>();
  for (const table of catalog.tables) {
    for (const { name } of table.columns) {
      if (!tenantName.test(name)) continue;
      having.set(name, (having.get(name) ?? new Set()).add(`${table.schema}.${table.name}`));
    }
  }
  const found = new Set<string>();
  for (const [name, tables] of having) {
    let all = 0;
    let named = 0;
    const searched = new Set<string>();
    for (const { accesses, weight = 1 } of statements) {
      for (const access of accesses) {
        const table = `${access.table.schema}.${access.table.name}`;
        if (!tables.has(table)) continue;
        all += weight;
        if (!access.equality.includes(name)) continue;
        named += weight;
        searched.add(table);
      }
    }
    if (searched.size >= leastTables && named >= all * leastShare) found.add(name);
  }
  return found;
};
