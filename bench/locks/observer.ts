import pg from "pg";

/** One wait that a session of ours had a part in. */
export interface Wait {
  readonly pid: number;
  /** `client backend`, `autovacuum worker`… */
  readonly backendType: string;
  /** The waiting statement's first words. */
  readonly statement: string;
  /** From the server's own clock: the part of the wait during which we were among those waited for, directly or through others. */
  readonly ms: number;
}

interface Sample {
  readonly at: number;
  readonly ours: readonly number[];
  readonly waiting: readonly {
    readonly pid: number;
    readonly since: number;
    readonly blockers: readonly number[];
    readonly type: string;
    readonly query: string;
  }[];
}

const sampleSql = `
  select extract(epoch from clock_timestamp())::float8 * 1000 as at,
         array(select pid from pg_stat_activity where application_name like 'indexpilot:%') as ours,
         coalesce((
           select jsonb_agg(jsonb_build_object('pid', w.pid, 'since', extract(epoch from w.since) * 1000, 'type', a.backend_type,
                                               'query', left(a.query, 60), 'blockers', to_jsonb(pg_blocking_pids(w.pid))))
             from (select pid, min(waitstart) as since from pg_locks where not granted and waitstart is not null group by pid) w
             join pg_stat_activity a on a.pid = w.pid), '[]') as waiting`;

const EVERY_MS = 10;

/** Who waits because of us at this moment, directly or behind somebody who does. */
const victimsOf = ({ ours, waiting }: Sample): Sample["waiting"] => {
  const reached = new Set(ours);
  for (let grew = true; grew;) {
    grew = false;
    for (const { pid, blockers } of waiting) {
      if (reached.has(pid) || !blockers.some((blocker) => reached.has(blocker))) continue;
      reached.add(pid);
      grew = true;
    }
  }
  return waiting.filter(({ pid }) => reached.has(pid) && !ours.includes(pid));
};

/** Samples `pg_locks` over a connection of its own, knowing of IndexPilot only the name its sessions give themselves. */
export const observe = (
  url: string,
): { readonly waits: readonly Wait[]; readonly longestGapMs: () => number; readonly stop: () => Promise<void> } => {
  const waits: Wait[] = [];
  const told = new AbortController();
  let longestGapMs = 0;
  const work = (async () => {
    const client = new pg.Client({ connectionString: url, application_name: "observer" });
    await client.connect();
    const open = new Map<string, { readonly from: number; readonly type: string; readonly query: string }>();
    let before: Sample | null = null;
    while (!told.signal.aborted) {
      const { rows } = await client.query<Sample>(sampleSql);
      const [sample] = rows;
      if (sample === undefined) throw new Error("no sample");
      if (before !== null) longestGapMs = Math.max(longestGapMs, sample.at - before.at);
      const victims = new Map(victimsOf(sample).map((one) => [`${String(one.pid)} ${String(one.since)}`, one]));
      for (const [key, { from, type, query }] of open) {
        if (victims.has(key)) continue;
        open.delete(key);
        waits.push({ pid: Number(key.split(" ")[0]), backendType: type, statement: query, ms: sample.at - from });
      }
      for (const [key, { since, type, query }] of victims) {
        // Waiting already at the last look, then for somebody else: we came in between.
        if (!open.has(key)) open.set(key, { from: Math.max(since, before?.at ?? since), type, query });
      }
      before = sample;
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
    await client.end();
  })();
  return {
    waits,
    longestGapMs: () => longestGapMs,
    stop: async () => {
      told.abort();
      await work;
    },
  };
};
