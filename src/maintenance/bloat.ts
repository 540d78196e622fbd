import type { Bloat, WithheldCode } from "../domain/index.ts";
import { quoteName } from "../postgres/index.ts";
import { type Assumptions, freshBtree, PAGE_BYTES, type SizedColumn } from "../sizes/index.ts";
import type { IndexFacts } from "./reading.ts";
import { changedRows, isStale, type StatisticsAge } from "./stale.ts";

/** Below this one page more or less is 4 points, and there is nothing to gain. */
const FEWEST_PAGES = 25;
/** TOAST_INDEX_TARGET: values above it are compressed in an index, and nobody knows by how much (indextuple.c). */
const COMPRESSED_BYTES = 510;
/** The half width of what may be shown. */
const TOLERANCE = 0.05;
/** A file this much smaller than the model's least: pages of a B-tree that only grows are fuller than new ones, but not by more. */
const CONTRADICTION = 1.12;

/** How many keys occur in how many rows each. */
export type KeyCounts = readonly { readonly rows: number; readonly keys: number }[];

const withheld = (code: WithheldCode, reason: string, remedy: string): Bloat => ({
  kind: "withheld",
  code,
  reason,
  remedy,
});

const rebuildOnce = "its own size after a rebuild will tell";

const analyze = ({ schema, table }: IndexFacts): string => `analyze ${quoteName({ schema, name: table })}`;

/** Of a partial index, its own rows are what changes are held against, for those may all be of them. */
const ageOf = ({ partial, entries, tableFacts }: IndexFacts): StatisticsAge => {
  const { tuples, liveTuples, modificationsSinceAnalyze, analyzedAt } = tableFacts;
  const analyzed = analyzedAt !== null;
  if (!partial) return { tuples, liveTuples, modificationsSinceAnalyze, analyzed };
  const own = Math.max(0, Math.min(entries, tuples));
  return { tuples: own, liveTuples: own, modificationsSinceAnalyze, analyzed };
};

const hasStaleRows = (index: IndexFacts): boolean => isStale(ageOf(index));

const stale = (index: IndexFacts): Bloat => {
  const age = ageOf(index);
  const share = Math.round((100 * changedRows(age)) / Math.max(1, age.tuples));
  const changed = index.partial
    ? `as many rows of the table as ${String(share)} % of its own changed`
    : `${String(share)} % of the rows changed`;
  const reason = age.analyzed
    ? `by the counters, ${changed} since the last ANALYZE`
    : "the counters do not know of any ANALYZE, so nobody knows what changed since";
  return withheld("statistics_stale", reason, analyze(index));
};

/** After a build `pg_class.reltuples` counts the keys of a GIN index and the ranges of a BRIN index, after ANALYZE the rows of both. */
const countsRows = ({ method }: IndexFacts): boolean => method !== "gin" && method !== "brin";

/** The rows that an index has entries for; null where nobody knows, or knew before many changed. */
export const indexedRows = (index: IndexFacts): number | null => {
  if (hasStaleRows(index)) return null;
  if (!index.partial) return index.tableFacts.liveTuples;
  return countsRows(index) && index.entries >= 0 ? index.entries : null;
};

/** What stands in the way of an estimate from statistics; null where nothing does. */
const obstacle = (index: IndexFacts): Bloat | null => {
  const { tableFacts: table, stored } = index;
  if (index.partial && !countsRows(index)) {
    return withheld(
      "no_baseline",
      `nobody counts the rows of a partial ${index.method} index`,
      "its sizes before and after a rebuild",
    );
  }
  if (index.method === "hash") {
    return withheld(
      "made_in_steps",
      "a hash index has as many buckets as the next power of two, or a quarter of the way to it: made of fewer rows it may be no smaller",
      "only a rebuild shows what it would give back",
    );
  }
  if (index.method !== "btree") {
    return withheld(
      "no_baseline",
      `what a ${index.method} index needs is only known from its own size after a rebuild`,
      rebuildOnce,
    );
  }
  if (index.partial || index.expression) {
    const what = index.partial ? "the rows of its predicate" : "the values of its expression";
    return withheld("no_baseline", `the statistics do not tell enough about ${what}`, rebuildOnce);
  }
  if (index.storesOtherwise) {
    return withheld("stored_otherwise", "its operator class stores something else than the column", rebuildOnce);
  }
  const unseen = stored.length === 0 || stored.some(({ statistics }) => statistics === null);
  if (table.tuples < 0 || (unseen && table.analyzedAt === null))
    return withheld("never_analyzed", `${index.table} was never analysed`, analyze(index));
  if (unseen) {
    return withheld(
      "statistics_unreadable",
      "no statistics of its columns can be read: the role lacks pg_read_all_data, row-level security hides them, or ANALYZE found none",
      `grant pg_read_all_data to the observing role; ${analyze(index)}`,
    );
  }
  if (hasStaleRows(index)) return stale(index);
  const long = stored.find(({ statistics, longest, meanLength }) => {
    const width = statistics?.averageWidth ?? 0;
    // ANALYZE keeps no value above 1 kB: where the mean is above that of those it kept, there are some.
    return (
      (longest ?? 0) > COMPRESSED_BYTES ||
      width > COMPRESSED_BYTES ||
      (meanLength !== null && width > 1.3 * meanLength + 8)
    );
  });
  if (long !== undefined) {
    return withheld(
      "values_compressed",
      `long values of ${long.name} are compressed, nobody knows by how much`,
      rebuildOnce,
    );
  }
  return null;
};

/** By how much the mean number of rows per value may be off: Student's error of the repetitions in ANALYZE's sample, doubled. */
const repeatsError = ({ statistics }: SizedColumn, rows: number, sampleRows: number): number => {
  if (statistics === null || rows <= sampleRows) return 0;
  const distinct = statistics.distinct > 0 ? statistics.distinct : -statistics.distinct * rows;
  const common = statistics.mostCommonFrequencies ?? [];
  const rest = Math.max(0, 1 - statistics.nullFraction - common.reduce((sum, share) => sum + share, 0));
  const others = distinct - common.length;
  if (others < 1 || rest <= 0) return 0;
  const repeats = (rows * rest) / others;
  // Values that are in the sample many times are all in it.
  if ((sampleRows * rest) / others > 5) return 0;
  const pairs = ((sampleRows * rest) ** 2 * Math.max(0, repeats - 1)) / (2 * rows * rest);
  return Math.min(1, 2 / Math.sqrt(Math.max(1, pairs)));
};

const withRepeats = (column: SizedColumn, rows: number, factor: number): SizedColumn => {
  const { statistics } = column;
  if (statistics === null || factor === 1) return column;
  const distinct = statistics.distinct > 0 ? statistics.distinct : -statistics.distinct * rows;
  const repeats = Math.max(1, (rows * (1 - statistics.nullFraction)) / Math.max(1, distinct));
  const scaled = rows / (1 + (repeats - 1) * factor);
  return { ...column, statistics: { ...statistics, distinct: Math.max(1, Math.min(rows, scaled)) } };
};

/** The most and the least pages that the statistics are compatible with. */
const neededPages = (
  index: IndexFacts,
  rows: number,
  counted?: Assumptions["counted"],
): { readonly low: number; readonly high: number } => {
  const { stored, keyCount, unique, deduplicates: grouped, fillfactor, combinations, tableFacts } = index;
  const pagesOf = (columns: readonly SizedColumn[], assumptions: Assumptions): number =>
    freshBtree({ stored: columns, keyCount, rows, tableRows: rows, unique, grouped, fillfactor }, assumptions).pages;
  if (!grouped || counted !== undefined) {
    const pages = pagesOf(stored, counted === undefined ? {} : { counted });
    return { low: pages, high: pages };
  }
  const errors = stored.map((column) => repeatsError(column, rows, tableFacts.sampleRows));
  const scaled = (sign: 1 | -1): SizedColumn[] =>
    stored.map((column, at) => withRepeats(column, rows, 1 + sign * (errors[at] ?? 0)));
  const dependent = stored.length > 1 && combinations === null;
  const all = ([1, -1] as const).flatMap((sign) =>
    (["even", "by chance"] as const).flatMap((repeats) =>
      (dependent ? [true, false] : [false]).map((one) =>
        pagesOf(scaled(sign), { repeats, dependent: one, distinctKeys: combinations }),
      ),
    ),
  );
  return { low: Math.min(...all), high: Math.max(...all) };
};

/**
 * By how much the rows of a partial index may be off, as a share of them: ANALYZE extrapolates them from those in its sample. Twice the binomial's standard error,
 * of the count now and of that after the rewrite.
 */
const countError = (index: IndexFacts, rows: number): number => {
  const { tuples, sampleRows } = index.tableFacts;
  if (!index.partial || tuples <= sampleRows) return 0;
  const share = Math.min(1, rows / tuples);
  return 2 * Math.sqrt((2 * (1 - share) * (1 - sampleRows / tuples)) / (share * sampleRows));
};

/** Of any access method: its size per row against what that was after its last rewrite. Null where nobody counted its rows. */
const byBaseline = (index: IndexFacts, sizeBytes: number, baseline: number): Bloat | null => {
  if (hasStaleRows(index)) return stale(index);
  const rows = indexedRows(index);
  if (rows === null || rows <= 0) return null;
  const needed = rows * baseline;
  const error = countError(index, rows);
  if ((error * needed) / sizeBytes > TOLERANCE) {
    return withheld(
      "rows_too_coarse",
      `how many rows its predicate has is known from a sample, within ${(100 * error).toFixed(0)} %`,
      `a higher statistics target for one of its columns (alter table … alter column … set statistics); ${analyze(index)}`,
    );
  }
  const share = (of: number): number => Math.max(0, 1 - of / sizeBytes);
  return {
    kind: "shown",
    method: "baseline",
    share: share(needed),
    low: share(needed * (1 + error)),
    high: share(needed * (1 - error)),
    neededBytes: Math.round(needed),
  };
};

/**
 * The bloat of an index from the catalogue, or from its keys where somebody counted them; or why it is not shown. Shown only where what the statistics leave
 * open is within 5 points: stale, coarse or unreadable statistics are withheld, and so are partial and expression indexes and other methods than B-trees until
 * their own size after a rewrite is known.
 * @param baseline bytes per row after the last rewrite, see `ownBaseline`
 */
export const estimateBloat = (index: IndexFacts, counted?: KeyCounts, baseline: number | null = null): Bloat => {
  const { sizeBytes } = index;
  if (sizeBytes === null) return withheld("locked", "the index was locked", "look again later");
  if (!index.valid)
    return withheld(
      "invalid",
      "it is invalid: being built, left half built, or hidden on trial",
      "its standing says which",
    );
  const pages = sizeBytes / PAGE_BYTES;
  if (pages < FEWEST_PAGES) {
    return withheld("too_small", `${String(pages)} pages: one more or less is the difference`, "nothing to do");
  }
  const said = byStatistics(index, pages, counted);
  const isRebuildAwaited = said.kind === "withheld" && said.remedy === rebuildOnce;
  return (isRebuildAwaited && baseline !== null ? byBaseline(index, sizeBytes, baseline) : null) ?? said;
};

const byStatistics = (index: IndexFacts, pages: number, counted?: KeyCounts): Bloat => {
  const why = obstacle(index);
  if (why !== null) return why;
  const rows = Math.max(1, counted?.reduce((sum, one) => sum + one.rows * one.keys, 0) ?? index.tableFacts.liveTuples);
  const { low, high } = neededPages(index, rows, counted);
  if (low > pages * CONTRADICTION) {
    return withheld(
      "model_contradicted",
      `by the statistics it needs ${String(low)} pages, and has ${String(pages)}: the statistics do not describe it`,
      rebuildOnce,
    );
  }
  const share = (needed: number): number => Math.max(0, 1 - needed / pages);
  const [least, most] = [share(high), share(low)];
  if (most - least > 2 * TOLERANCE) {
    const columns = index.stored.slice(0, index.keyCount).map(({ name }) => name);
    const percent = (value: number): string => (100 * value).toFixed(0);
    return withheld(
      "statistics_too_coarse",
      `how many rows have equal keys is known too coarsely: anything from ${percent(least)} to ${percent(most)} %`,
      columns.length > 1
        ? `create statistics (ndistinct) on ${columns.join(", ")} from ${quoteName({ schema: index.schema, name: index.table })}; ${analyze(index)}`
        : "`indexpilot health --read SIZE` counts them, and reads the table for it",
    );
  }
  const needed = (low + high) / 2;
  return {
    kind: "shown",
    method: counted === undefined ? "statistics" : "measured",
    share: share(needed),
    low: least,
    high: most,
    neededBytes: Math.round(needed) * PAGE_BYTES,
  };
};
