import pg from "pg";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";

/** Key of the advisory lock in which a step is held. */
export const HOLD = 471_148;

/** A server, in which each run has a database of its own. */
export interface Stage {
  readonly major: number;
  readonly server: EmbeddedServer;
  /** A fresh database with the application's table. @returns its name */
  database(): Promise<string>;
  close(): Promise<void>;
}

const roles = `
  create role shop nologin;
  create role builder login in role shop;
  create role observer login in role pg_monitor, pg_read_all_data;
  create role app login`;

/** All that is rare is old, which no statistics tell; rows lie in no order of time. */
const schema = `
  create extension pg_stat_statements;
  grant usage, create on schema public to builder, shop;
  create table orders (id integer primary key, customer_id integer not null, created_at timestamptz not null, note text not null, w integer not null);
  insert into orders
    select row_number() over (order by hashint4(g)), g % 5000, timestamptz '2026-01-01' + g * interval '1 s', case when g <= 600 then 'rare' else 'n' || g % 7 end, 0
      from generate_series(1, 60000) g;
  alter table orders owner to shop;
  grant select, insert, update, delete on orders to app;
  vacuum analyze orders`;

/**
 * What the bench itself adds to the store: a log of an experiment's steps, and a place where any transition can be held before its commit, and told after it.
 * Counts deployments' transitions and experiments' steps together.
 */
export const trap = `
  create schema bench;
  create table bench.hold (transition bigint);
  create sequence bench.transition;
  create table bench.step (n bigint generated always as identity, state text, stage integer, at timestamptz not null default clock_timestamp());
  insert into bench.step (state, stage) select state, stage from indexpilot.experiment;
  create function bench.held() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
  declare n bigint := nextval('bench.transition');
  begin
    if tg_table_name = 'experiment' then insert into bench.step (state, stage) values (new.state, new.stage); end if;
    perform pg_notify('bench_transition', n::text);
    if exists (select from bench.hold where transition = n) then perform pg_advisory_xact_lock(${String(HOLD)}); end if;
    return new;
  end $$;
  create trigger held after insert on indexpilot.deployment_event for each row execute function bench.held();
  create trigger held after update on indexpilot.experiment for each row
    when (old.state <> new.state or old.stage <> new.stage) execute function bench.held()`;

export const openStage = async (major: number): Promise<Stage> => {
  const server = await startEmbedded({ major, settings: { max_connections: "60" } });
  const admin = new pg.Client(server.url());
  await admin.connect();
  await admin.query(roles);
  await admin.end();
  let made = 0;
  return {
    major,
    server,
    database: async () => {
      const name = `run_${String((made += 1))}`;
      // Connected anew each time: one of the disturbances is a crash of the server.
      const session = new pg.Client(server.url());
      await session.connect();
      await session.query(`create database ${name}`);
      await session.query(`grant create on database ${name} to builder`);
      await session.end();
      const inside = new pg.Client(server.url(name));
      await inside.connect();
      for (const statement of schema.split(";")) await inside.query(statement);
      await inside.end();
      return name;
    },
    close: () => server.stop(),
  };
};
