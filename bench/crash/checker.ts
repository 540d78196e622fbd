import type pg from "pg";

export interface Expected {
  /** How many indexes of ours stand on `t`. */
  readonly standing: number;
  /** What `x` on `u`, which is not ours, shall be: `pg_get_indexdef` and the constraint. */
  readonly x: { readonly definition: string; readonly constraint: string | null };
}

/**
 * Looks at the catalogue and the store with SQL of its own and nothing of IndexPilot's code.
 * @returns what is wrong, for people
 */
export const check = async (session: pg.Client, expected: Expected): Promise<string[]> => {
  const wrong: string[] = [];
  const found = async (what: string, sql: string, values: readonly unknown[] = []): Promise<void> => {
    const { rows } = await session.query<Record<string, unknown>>(sql, [...values]);
    for (const row of rows) wrong.push(`${what}: ${JSON.stringify(row)}`);
  };
  await found(
    "an invalid index of ours",
    `select c.relname from pg_index x join pg_class c on c.oid = x.indexrelid
      where x.indrelid in ('t'::regclass, 'u'::regclass) and not (x.indisvalid and x.indisready and x.indislive)`,
  );
  await found(
    "a temporary name was left",
    `select c.relname from pg_index x join pg_class c on c.oid = x.indexrelid where c.relname ~ '^ip_|_cc(new|old)[0-9]*$'`,
  );
  await found(
    "what a person wanted waits for a verdict",
    "select id from indexpilot.deployment where state = 'verifying' and recorded is not null",
  );
  await found(
    "the state is not an end",
    `select id, state from indexpilot.deployment where state not in ('verifying', 'settled', 'done', 'rolled_back', 'failed', 'declined')`,
  );
  await found(
    "the store says that it stands, and the catalogue does not",
    `select d.id, d.index_name from indexpilot.deployment d
      where d.state in ('verifying', 'settled') and not exists (
        select from pg_index x join pg_class c on c.oid = x.indexrelid
         where c.oid = d.index_oid and c.relname = d.index_name and x.indisvalid
           and obj_description(c.oid, 'pg_class') = 'indexpilot:' || d.id)`,
  );
  await found(
    "the catalogue has an index that no deployment answers for",
    `select c.relname from pg_index x join pg_class c on c.oid = x.indexrelid
      where x.indrelid = 't'::regclass and c.relname not in ('t_pkey', 'stranger') and not exists (
        select from indexpilot.deployment d where d.index_oid = c.oid and d.state in ('verifying', 'settled'))`,
  );
  await found(
    "an intention was built twice",
    `select indkey::text, indclass::text, count(*)::int from pg_index where indrelid = 't'::regclass
      group by 1, 2, pg_get_expr(indpred, indrelid) having count(*) > 1`,
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
    "what belongs to others is not as it was",
    `select (select count(*) from pg_index where indexrelid = to_regclass('stranger') and indisvalid)::int as valid,
            (select count(*) from pg_index where indexrelid = to_regclass('stranger_failed') and not indisvalid)::int as failed
      where (select count(*) from pg_index where indexrelid = to_regclass('stranger') and indisvalid) <> 1
         or (select count(*) from pg_index where indexrelid = to_regclass('stranger_failed') and not indisvalid) <> 1`,
  );
  await found(
    `not the ${String(expected.standing)} indexes that should stand`,
    `select count(*)::int as standing from pg_index where indrelid = 't'::regclass and indexrelid::regclass::text not in ('stranger', 't_pkey')
     having count(*) <> ${String(expected.standing)}`,
  );
  await found(
    "x is not what it should be, or not alone",
    `select c.relname, pg_get_indexdef(c.oid), pg_get_constraintdef(k.oid) from pg_index i join pg_class c on c.oid = i.indexrelid
       left join pg_constraint k on k.conindid = c.oid and k.contype in ('p', 'u')
      where i.indrelid = 'u'::regclass and c.relname <> 'u_pkey'
        and (c.relname <> 'x' or pg_get_indexdef(c.oid) <> $1 or pg_get_constraintdef(k.oid) is distinct from $2)`,
    [expected.x.definition, expected.x.constraint],
  );
  await found(
    "x is gone",
    "select where not exists (select from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = 'u'::regclass and c.relname = 'x')",
  );
  await found(
    "the versions end with something else than the catalogue has",
    `select s.index_name, v.definition, v.change from indexpilot.index_series s
       join lateral (select * from indexpilot.index_version v where v.series_id = s.id order by number desc limit 1) v on true
      where (v.change = 'dropped') <> (to_regclass(quote_ident(s.schema_name) || '.' || quote_ident(s.index_name)) is null)
         or (v.change <> 'dropped' and v.definition <> pg_get_indexdef(s.index_oid))`,
  );
  await found(
    "the versions of one index are in two series, or a temporary name has one",
    "select index_name, count(*)::int from indexpilot.index_series group by 1 having count(*) > 1 or index_name ~ '^ip_|_cc(new|old)[0-9]*$'",
  );
  return wrong;
};
