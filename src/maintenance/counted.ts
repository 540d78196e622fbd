import type { Bloat } from "../domain/index.ts";
import { quoteIdentifier, quoteName, type Session, SqlState, sqlStateOf } from "../postgres/index.ts";
import { PAGE_BYTES } from "../sizes/index.ts";
import { estimateBloat, type KeyCounts } from "./bloat.ts";
import type { IndexFacts } from "./reading.ts";

/** Reads the table or, where the planner finds that cheaper, the index. Nothing but counts leaves the server. */
const statementFor = ({ schema, table, stored, keyCount }: IndexFacts): string => `
select size::float8 as rows, count(*)::float8 as keys
  from (select count(*) as size from ${quoteName({ schema, name: table })}
         group by ${stored
           .slice(0, keyCount)
           .map(({ name }) => quoteIdentifier(name))
           .join(", ")}) g
 group by size`;

/**
 * The same bloat, with the keys of those indexes counted of which the statistics say too little, the largest first, as long as the budget lasts. An index
 * that takes longer than the session's statement_timeout, or is locked, stays withheld.
 * @param readBytes how much may be read in all
 */
export const countCoarse = async (
  session: Session,
  looked: readonly { readonly index: IndexFacts; readonly bloat: Bloat }[],
  readBytes: number,
): Promise<ReadonlyMap<number, Bloat>> => {
  const found = new Map<number, Bloat>();
  let left = readBytes;
  const coarse = looked
    .filter(({ bloat }) => bloat.kind === "withheld" && bloat.code === "statistics_too_coarse")
    .map(({ index }) => index)
    .toSorted((a, b) => (b.sizeBytes ?? 0) - (a.sizeBytes ?? 0));
  for (const index of coarse) {
    const bytes = index.tableFacts.pages * PAGE_BYTES;
    if (bytes > left) continue;
    left -= bytes;
    const counted = await keyCounts(session, index);
    if (counted !== null) found.set(index.oid, estimateBloat(index, counted));
  }
  return found;
};

const keyCounts = async (session: Session, index: IndexFacts): Promise<KeyCounts | null> => {
  try {
    return await session.query<KeyCounts[number]>(statementFor(index));
  } catch (error) {
    const state = sqlStateOf(error);
    if (state === SqlState.queryCanceled || state === SqlState.lockNotAvailable) return null;
    throw error;
  }
};
