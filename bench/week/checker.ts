import type pg from "pg";

/** What the checker holds the week against, told to it apart from the daemon's settings. */
export interface Limits {
  readonly timeZone: string;
  /** Hours of the wall clock between which a rebuild may begin. */
  readonly from: number;
  readonly to: number;
  readonly indexes: number;
  readonly indexBytes: number;
  readonly totalBytes: number;
  readonly timeMs: number;
  readonly threshold: number;
}

export interface IndexRow {
  readonly name: string;
  readonly sizeBytes: number;
  /** As PostgreSQL builds the same index beside it. */
  readonly freshBytes: number;
}

export interface RebuiltRow {
  readonly name: string;
  readonly at: Date;
  readonly before: number;
  readonly predicted: number;
  readonly after: number;
}

export interface Judgement {
  readonly indexes: readonly IndexRow[];
  readonly rebuilt: readonly RebuiltRow[];
  readonly outsideWindow: readonly string[];
  readonly overLimits: readonly string[];
  readonly leftovers: readonly string[];
  /** Above the threshold in the end, and never brought under it. */
  readonly aboveThreshold: readonly string[];
  /** Brought under the threshold by a rebuild, and above it again by what the application did since. */
  readonly returned: readonly string[];
  /** How often each safeguard refused, and how many of those refusals do not say when to ask again. */
  readonly refusals: readonly { readonly code: string; readonly count: number; readonly silent: number }[];
}

interface Begun {
  readonly name: string;
  readonly at: Date;
  readonly bytes: number;
}

/** Date and hour on the wall clock of a time zone. */
const wallClock = (at: Date, timeZone: string): { readonly date: string; readonly hour: number } => {
  const parts = new Intl.DateTimeFormat("en-CA", {
    timeZone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).formatToParts(at);
  const part = (type: string): string => parts.find((one) => one.type === type)?.value ?? "";
  return {
    date: `${part("year")}-${part("month")}-${part("day")}`,
    hour: Number(part("hour")) + Number(part("minute")) / 60,
  };
};

const overLimits = (begun: readonly Begun[], limits: Limits): string[] => {
  const nights = new Map<string, Begun[]>();
  for (const one of begun) {
    const { date } = wallClock(one.at, limits.timeZone);
    nights.set(date, [...(nights.get(date) ?? []), one]);
  }
  return [...nights].flatMap(([date, night]) => {
    const indexes = new Set(night.map(({ name }) => name)).size;
    const bytes = night.reduce((sum, one) => sum + one.bytes, 0);
    const times = night.map(({ at }) => at.getTime());
    const lasted = Math.max(...times) - Math.min(...times);
    return [
      ...(indexes > limits.indexes ? [`${date}: ${String(indexes)} indexes`] : []),
      ...(bytes > limits.totalBytes ? [`${date}: ${String(bytes)} bytes`] : []),
      ...(lasted > limits.timeMs ? [`${date}: the last began ${String(lasted)} ms after the first`] : []),
      ...night.filter((one) => one.bytes > limits.indexBytes).map(({ name }) => `${date}: ${name} is too large`),
    ];
  });
};

/** Looks at catalogue and store with SQL of its own and nothing of IndexPilot's code. The application has to be at rest. */
export const judge = async (client: pg.Client, limits: Limits): Promise<Judgement> => {
  const rows = async <R extends pg.QueryResultRow>(sql: string): Promise<readonly R[]> =>
    (await client.query<R>(sql)).rows;
  const begun = await rows<Begun>(
    `select d.index_name as name, e.at, (d.replaces ->> 'sizeBytes')::float8 as bytes
       from indexpilot.deployment_event e join indexpilot.deployment d on d.id = e.deployment_id
      where d.kind = 'reindex' and e.event = 'begin' order by e.at`,
  );
  const rebuilt = await rows<RebuiltRow>(
    `select index_name as name, updated_at as at, (replaces ->> 'sizeBytes')::float8 as before, predicted_bytes::float8 as predicted,
            size_bytes::float8 as after
       from indexpilot.deployment where kind = 'reindex' and state = 'done' order by updated_at`,
  );
  const left = await rows<{ what: string }>(
    `select 'index ' || c.relname as what from pg_index i join pg_class c on c.oid = i.indexrelid
      where not (i.indisvalid and i.indisready) or c.relname ~ '_cc(new|old)[0-9]*$|^ip_'
      union all
     select index_name || ' is ' || state from indexpilot.deployment
      where kind = 'reindex' and state not in ('done', 'failed', 'declined', 'approved', 'proposed')`,
  );
  const standing = await rows<{ oid: number; name: string; bytes: number; definition: string }>(
    `select indexrelid as oid, indexrelid::regclass::text as name, pg_relation_size(indexrelid)::float8 as bytes,
            regexp_replace(pg_get_indexdef(indexrelid), 'INDEX \\S+ ON', 'INDEX fresh ON') as definition
       from pg_index where indrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r') order by 2`,
  );
  const indexes: IndexRow[] = [];
  for (const { name, bytes, definition } of standing) {
    await client.query("begin");
    await client.query(definition);
    const [fresh] = await rows<{ bytes: number }>("select pg_relation_size('fresh')::float8 as bytes");
    await client.query("rollback");
    indexes.push({ name, sizeBytes: bytes, freshBytes: fresh?.bytes ?? Number.NaN });
  }
  const above = indexes
    .filter(
      ({ sizeBytes, freshBytes }) => sizeBytes <= limits.indexBytes && 1 - freshBytes / sizeBytes >= limits.threshold,
    )
    .map(({ name }) => name);
  const done = new Set(rebuilt.map(({ name }) => name));
  return {
    indexes,
    rebuilt,
    outsideWindow: begun
      .filter(({ at }) => {
        const { hour } = wallClock(at, limits.timeZone);
        return hour < limits.from || hour >= limits.to;
      })
      .map(({ name, at }) => `${name} at ${at.toISOString()}`),
    overLimits: overLimits(begun, limits),
    leftovers: left.map(({ what }) => what),
    aboveThreshold: above.filter((name) => !done.has(name)),
    returned: above.filter((name) => done.has(name)),
    refusals: await rows(
      `select code, count(*)::int as count, count(*) filter (where inputs ->> 'retryAt' is null)::int as silent
         from indexpilot.decision where outcome = 'refused' group by 1 order by 1`,
    ),
  };
};
