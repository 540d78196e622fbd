-- A shop with most of what a catalogue can hold: skew, nulls, partitions, inheritance, an enum, a domain, hostile names.
create schema "Sales Dept";
create type "Sales Dept"."order Status" as enum ('new', 'paid', 'shipped', 'it''s "back"');
create domain public.positive as integer check (value > 0);
create domain public.very_positive as public.positive check (value > 10) not null;

create table public.customers (
  id integer primary key,
  email varchar(60) not null unique,
  country char(2) not null,
  gone integer,
  score numeric(8, 2),
  tags text[],
  born date,
  note text
);
insert into public.customers
select i, 'user' || i || '@example.org', (array['de', 'de', 'de', 'fr', 'us', 'jp'])[1 + i % 6], 1,
       case when i % 5 = 0 then null else (i * 7919 % 100000) / 100.0 end,
       case when i % 3 = 0 then array['a' || i % 7, 'b' || i % 11] end,
       date '1950-01-01' + (i * 31 % 18000), repeat('n', i % 90)
  from generate_series(1, 8000) i;
alter table public.customers drop column gone;
create statistics public.country_and_birth (ndistinct, dependencies, mcv) on country, born from public.customers;

create table "Sales Dept"."Orders" (
  "Id" bigint primary key,
  customer integer not null references public.customers (id),
  status "Sales Dept"."order Status" not null,
  quantity public.very_positive,
  placed timestamptz not null,
  total double precision,
  token uuid
);
insert into "Sales Dept"."Orders"
select i, 1 + (i * i % 7919) % 8000, (enum_range(null::"Sales Dept"."order Status"))[1 + (i % 20) / 7], 11 + i % 13,
       timestamptz '2024-01-01 00:00+00' + i * interval '7 minutes', (i * 37 % 5000)::float8 / 7, md5(i::text)::uuid
  from generate_series(1, 40000) i;
create index "Placed, newest first" on "Sales Dept"."Orders" (placed desc);
create index orders_open on "Sales Dept"."Orders" (customer) where status <> 'shipped';

create table "Sales Dept"."we""ird; drop table x" ("we""ird; col" integer, "select" text, order_id bigint references "Sales Dept"."Orders");
insert into "Sales Dept"."we""ird; drop table x" select i % 900, 'text ' || i % 300, 1 + i % 40000 from generate_series(1, 20000) i;
create index "ind""ex; drop" on "Sales Dept"."we""ird; drop table x" ("we""ird; col");

create table public.events (at date not null, kind smallint not null, customer integer, payload jsonb, primary key (at, kind, customer))
  partition by range (at);
create table public.events_2024 partition of public.events for values from ('2024-01-01') to ('2025-01-01');
create table public.events_2025 partition of public.events for values from ('2025-01-01') to ('2026-01-01') partition by list (kind);
create table public.events_2025_low partition of public.events_2025 for values in (0, 1, 2);
create table public.events_2025_rest partition of public.events_2025 default;
insert into public.events
select date '2024-01-01' + i % 731 - case when i % 731 = 730 then 1 else 0 end, i % 6, i, jsonb_build_object('k', i % 50) from generate_series(1, 30000) i;
create index events_customer on public.events (customer);

create table public.log (id integer not null, level text not null, check (id > 0));
create table public.log_old (check (id <= 5000)) inherits (public.log);
create table public.log_new (check (id > 5000)) inherits (public.log);
insert into public.log_old select i, 'l' || i % 4 from generate_series(1, 5000) i;
insert into public.log_new select i, 'l' || i % 4 from generate_series(5001, 15000) i;
create index log_new_id on public.log_new (id);
create index log_new_upper on public.log_new (upper(level));

create materialized view public.totals as
  select customer, count(*) as orders, sum(total) as total from "Sales Dept"."Orders" group by customer;
create view public.open_orders as select * from "Sales Dept"."Orders" where status = 'new';
create view public.open_by_country as
  select c.country, o.total from public.open_orders o join public.customers c on c.id = o.customer;

create function public.secret(integer) returns integer language internal immutable strict as 'int4um';
create index customers_secret on public.customers (secret(id));
create index customers_digits on public.customers using hash (((id % 50)::text));
create table public.located (id integer, place point, pair public.customers);
insert into public.located (id) select generate_series(1, 500);
create temporary table scratch (a integer);
