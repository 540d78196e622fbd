import type pg from "pg";

/** What an experiment on `orders` is to end with. */
export interface Expected {
  /** Columns of the index that was built for everybody, as `pg_get_indexdef` has them; null: none may be there. */
  readonly index: string | null;
  /** Verdicts that are right; null: there is none, for it never ran. */
  readonly outcomes: readonly (string | null)[];
  readonly winner: "control" | "treatment" | null;
  /** What the decision and the end must name. */
  readonly names: readonly string[];
  /** Of the windows that prove nothing. */
  readonly voids: readonly string[];
  /** Indexes of others that came meanwhile. */
  readonly others: readonly string[];
}

/** How it ended. */
export interface Ended {
  readonly state: string;
  readonly outcome: string | null;
  readonly winner: string | null;
}

/**
 * Looks at catalogue and store with SQL of its own and nothing of IndexPilot's code, and at the log that a trigger of the bench has kept of the experiment.
 * @returns what is wrong, for people
 */
export const check = async (
  session: pg.Client,
  expected: Expected,
): Promise<{ readonly ended: Ended; readonly wrong: readonly string[] }> => {
  const wrong: string[] = [];
  const found = async (what: string, sql: string, values: readonly unknown[] = []): Promise<void> => {
    const { rows } = await session.query<Record<string, unknown>>(sql, [...values]);
    for (const row of rows) wrong.push(`${what}: ${JSON.stringify(row)}`);
  };
  await found(
    "an invalid index",
    `select c.relname from pg_index x join pg_class c on c.oid = x.indexrelid
      where not (x.indisvalid and x.indisready and x.indislive)`,
  );
  await found(
    "what was built for the experiment was left",
    `select c.relname, pg_get_indexdef(c.oid) from pg_index x join pg_class c on c.oid = x.indexrelid
      where x.indrelid = 'orders'::regclass and (c.relname ~ '_gated|^ip_' or pg_get_expr(x.indpred, x.indrelid) ~ 'CASE')`,
  );
  await found(
    "an index that nobody answers for",
    `select c.relname from pg_index x join pg_class c on c.oid = x.indexrelid
      where x.indrelid = 'orders'::regclass and c.relname <> 'orders_pkey' and c.relname <> all ($1)
        and not exists (select from indexpilot.deployment d where d.index_oid = c.oid and d.state = 'settled' and d.index_name = c.relname
                           and obj_description(c.oid, 'pg_class') = 'indexpilot:' || d.id)`,
    [expected.others],
  );
  await found(
    "the store says that it stands, and the catalogue does not",
    `select d.id, d.index_name from indexpilot.deployment d
      where d.state in ('verifying', 'settled') and not exists (select from pg_index x where x.indexrelid = d.index_oid and x.indisvalid)`,
  );
  await found(
    "the state is not an end",
    "select id, index_name, state from indexpilot.deployment where state not in ('settled', 'rolled_back', 'declined', 'failed')",
  );
  await found(
    "the history has a hole",
    `select deployment_id, id, from_state, to_state from (
       select e.*, lag(to_state) over (partition by deployment_id order by id) as before from indexpilot.deployment_event e) e
      where from_state is distinct from before`,
  );
  await found(
    "the history does not lead to the state",
    `select d.id, d.state from indexpilot.deployment d
      where d.state is distinct from (select to_state from indexpilot.deployment_event e where e.deployment_id = d.id order by e.id desc limit 1)`,
  );
  await found(
    "not one experiment that has ended, with its reason",
    `select count(*)::int as all, count(ended_at)::int as ended, count(end_reason)::int as reasons from indexpilot.experiment
     having count(*) <> 1 or count(ended_at) <> 1 or count(end_reason) <> 1 or bool_or(state not in ('decided', 'stopped'))`,
  );
  await found(
    "a step that is none",
    `select was, state, stage_was, stage from (
       select *, lag(state) over w as was, lag(stage) over w as stage_was from bench.step window w as (order by n)) s
      where not case
        when was is null then state = 'preparing' and stage = 0
        when state = was then state = 'running' and (stage = stage_was + 1
          or stage = stage_was - 1 and (select stages[stage_was + 1] from indexpilot.experiment) = 1)
        else stage = stage_was and (was, state) in (('preparing', 'running'), ('preparing', 'removing'), ('running', 'applying'),
          ('running', 'removing'), ('applying', 'removing'), ('removing', 'decided'), ('removing', 'stopped')) end`,
  );
  await found(
    "another number of ends than one",
    "select count(*)::int from bench.step where state in ('decided', 'stopped') having count(*) <> 1",
  );
  await found(
    "a step without exactly one record",
    `with step as (select *, lag(state) over w as was, lag(stage) over w as stage_was from bench.step window w as (order by n)),
          made as (
            select case when state <> 'running' then 'end' when was = 'preparing' then 'gates_work'
                        when stage > stage_was then 'next_stage' else 'previous_stage' end as code,
                   case when state = 'running' and was = 'running' then (select stages[stage_was + 1] from indexpilot.experiment) else 0 end as share
              from step where state = 'running' or state = 'applying'
                 or (state = 'removing' and not exists (select from bench.step a where a.state = 'applying'))),
          told as (
            select case when code in ('gates_work', 'next_stage', 'previous_stage') then code else 'end' end as code,
                   case when code in ('next_stage', 'previous_stage') then (inputs ->> 'share')::float8 else 0 end as share
              from indexpilot.decision where subject = 'experiment' and code <> 'not_applied')
     select code, share, m.n as steps, t.n as records
       from (select code, share, count(*)::int as n from made group by 1, 2) m
       full join (select code, share, count(*)::int as n from told group by 1, 2) t using (code, share)
      where m.n is distinct from t.n`,
  );
  const { rows } = await session.query<Ended & { readonly end_reason: string; readonly reasons: string }>(
    `select state, verdict ->> 'outcome' as outcome, winner, end_reason,
            (select string_agg(reason, ' ' order by id) from indexpilot.decision where subject = 'experiment') as reasons
       from indexpilot.experiment`,
  );
  const [ended] = rows;
  if (ended === undefined) return { ended: { state: "missing", outcome: null, winner: null }, wrong };
  if (!expected.outcomes.includes(ended.outcome)) wrong.push(`ended ${String(ended.outcome)}: ${ended.end_reason}`);
  const noWinner = ended.outcome === "undecided" || ended.outcome === "equivalent" || ended.outcome === null;
  const winner = noWinner ? null : expected.winner;
  if (ended.winner !== winner) wrong.push(`${String(ended.winner)} won, not ${String(winner)}: ${ended.end_reason}`);
  for (const name of expected.names) {
    if (!ended.end_reason.includes(name)) wrong.push(`the end does not name ${name}: ${ended.end_reason}`);
    if (!ended.reasons.includes(name)) wrong.push(`no record names ${name}`);
  }
  await found(
    "not what was to be built for everybody",
    `select array_agg(substring(pg_get_indexdef(indexrelid) from 'USING (.*)')) as indexes from pg_index
      where indrelid = 'orders'::regclass and indexrelid::regclass::text <> 'orders_pkey' and indexrelid::regclass::text <> all ($1)
     having coalesce(array_agg(substring(pg_get_indexdef(indexrelid) from 'USING (.*)')), '{}') <> $2`,
    [expected.others, winner === null || expected.index === null ? [] : [expected.index]],
  );
  for (const reason of expected.voids) {
    await found(
      "no window is void",
      "select $1::text as for_what where not exists (select from indexpilot.experiment_void where reason = $1)",
      [reason],
    );
  }
  return { ended, wrong };
};
