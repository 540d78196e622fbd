import { type Purpose, openSession, resolveConnection, type Session } from "../../src/postgres/index.ts";
import type { EmbeddedServer } from "../../src/embedded/index.ts";

export const connect = (
  server: EmbeddedServer,
  database: string,
  user: string,
  purpose: Purpose = "store",
): Promise<Session> => openSession(resolveConnection(server.url(database, user), {}), purpose);

/** A small schema with one column of every kind of type, skew, and values that need quoting; read by name through the role's own search path. */
const schema = `
  create schema app;
  create schema monitoring;
  create extension pg_stat_statements with schema monitoring;
  create role app login;
  create role observer login;
  grant pg_monitor, pg_read_all_data to observer;
  create role blind login;
  alter role app in database shop set search_path = '$user', "app";
  alter database shop set search_path = public;
  create type app.mood as enum ('sad', 'it''s ok', 'happy');
  create domain app.amount as numeric(10, 2) check (value > -1000000);
  create table app.customers (
    id int primary key, email varchar(80), country char(2), active boolean, mood app.mood, score real, born date,
    created timestamptz, uid uuid, tags text[], data jsonb, address inet, odd text);
  create table app."Order" (
    id bigint generated always as identity primary key, customer_id int references app.customers, status text not null, total app.amount,
    "placed at" timestamp, quantity smallint, note text, seen time);
  create view app.active_customers as select * from app.customers where active;
  insert into app.customers
    select i, 'user' || i || '@example.org', case when i % 10 < 7 then 'ch' else 'de' end, i % 3 = 0,
           (enum_range(null::app.mood))[1 + i % 3], i / 3.0 - 50, date '1950-01-01' + i, timestamptz '2020-01-01 00:00+00' + i * interval '5 hours',
           md5(i::text)::uuid, array['t' || i % 5, 'a,"b\\c'], jsonb_build_object('k', i % 9), ('10.0.0.' || i % 250)::inet,
           (array['it''s', 'a "b"', 'c\\d', '{x,y}', '100%_', E'tab\\there', ''])[1 + i % 7] || case when i % 2 = 0 then '' else i::text end
      from generate_series(1, 2000) i;
  insert into app."Order" (customer_id, status, total, "placed at", quantity, note, seen)
    select 1 + i * 7 % 2000, case when i % 20 = 0 then 'new' else 'done' end, i % 977 - 300, timestamp '2024-01-01' + i * interval '3 minutes',
           i % 12, 'note ' || i, time '08:00' + i * interval '1 second'
      from generate_series(1, 6000) i;
  grant usage, create on schema app to app;
  alter table app.customers owner to app;
  alter table app."Order" owner to app;
  alter view app.active_customers owner to app;
  analyze;`;

export const makeShop = async (server: EmbeddedServer): Promise<void> => {
  const admin = await connect(server, "postgres", "postgres");
  await admin.script("create database shop");
  await admin.close();
  const shop = await connect(server, "shop", "postgres");
  await shop.script("set standard_conforming_strings = on; set client_min_messages = error");
  await shop.script(schema);
  await shop.close();
};

/** Statements as an application sends them, with literals; every one is valid. */
export const traffic: readonly string[] = [
  "select * from customers where id = 7",
  "select email from customers where country = 'ch' and active = true order by created desc limit 20 offset 40",
  "select count(*) from customers where born between date '1950-03-01' and '1950-05-01'",
  "select count(*) from customers where created >= '2020-03-01' and created < '2020-04-01'",
  "select count(*) from customers where created > now() - interval '30 days'",
  "select count(*) from customers where born < date '1951-01-01' + 7 and created > timestamptz '2020-01-01' - interval '1 day'",
  "select id from customers where lower(email) = 'user5@example.org'",
  "select id from customers where email like 'user12%' or odd ilike '%b%'",
  "select id from customers where mood = 'happy' and mood in ('sad', 'happy')",
  "select id from customers where uid = 'c4ca4238-a0b9-2382-0dcc-509a6f75849b'",
  "select id from customers where uid in ('c4ca4238-a0b9-2382-0dcc-509a6f75849b', 'c4ca4238-a0b9-2382-0dcc-509a6f75849c')",
  "select id from customers where id = any ('{1,2,3}') and id = any (array[4, 5])",
  "select id from customers where tags @> '{t1}' and data @> '{\"k\": 1}' and data ->> 'k' = '1' and (data -> 'k')::int > 3",
  "select id from customers where odd = E'c\\\\d' or odd = 'it''s' or odd <> ''",
  "select id from customers where score > -3.5 and score < 100 and address = '10.0.0.7'",
  "select id from customers where id - 5 > 10 and id * 2 < 100 and score + 1.5 > 3",
  "select id from customers where extract(year from created) = 2020 and date_trunc('month', created) = '2020-02-01'",
  "select date_trunc('day', created at time zone 'Europe/Zurich'), count(*) from customers group by 1 having count(*) > 3",
  "select sum(case when country = 'ch' then 1 else 0 end), coalesce(max(email), 'none') from customers",
  "select case country when 'ch' then 'here' else 'there' end from customers where (country, active) = ('de', false)",
  "select id from customers where (created, id) > ('2020-06-01', 900) order by created, id limit 5",
  "select id from customers where id is distinct from 5 and born not between '1950-01-01' and '1950-02-01'",
  "select substring(email from 1 for 3), left(email, 4), round(score::numeric, 1), nullif(country, 'xx') from customers where id < 10",
  "select c.id, o.total from customers c join \"Order\" o on o.customer_id = c.id where o.status = 'new' and o.\"placed at\" > '2024-01-05'",
  'select c.id from customers c where exists (select 1 from "Order" o where o.customer_id = c.id and o.total > 500.25 and o.quantity = 3)',
  "select id from customers where id in (select customer_id from \"Order\" where status = 'new' and seen > '08:30')",
  'with recent as (select * from "Order" where "placed at" >= \'2024-01-10\' limit 100) select customer_id, sum(total) from recent group by 1',
  'select status, percentile_cont(0.5) within group (order by total) from "Order" group by status',
  "select * from \"Order\" where customer_id = 12 and status = 'done' for update",
  "select * from active_customers where country = 'de'",
  'select g, count(o.id) from generate_series(1, 12) g left join "Order" o on o.quantity = g group by g',
  "select id from \"Order\" where status = 'new' union all select id from customers where country = 'xx' order by 1 limit 3",
  "insert into \"Order\" (customer_id, status, total) values (5, 'new', 12.50)",
  "insert into \"Order\" (customer_id, status, total) values (5, 'new', 12.50), (6, 'done', -1)",
  "insert into customers values (1, 'x@example.org') on conflict (id) do update set email = excluded.email, active = true",
  "insert into \"Order\" (customer_id, status, note) select id, 'new', 'copied' from customers where id < 3",
  "update \"Order\" set status = 'done', total = total + 10 where id = 17",
  "update \"Order\" set (status, note) = ('done', 'x') where customer_id in (3, 4) and status = 'new'",
  'delete from "Order" where note = \'copied\' and "placed at" is null',
  "select 1 + 2, 'x' || 'y', now() - interval '1 hour'",
];
