import { type Fixture, key, pairsIn, pendingEntries } from "./fixture.ts";

const pairs = pairsIn("Event Log");
const months = Array.from({ length: 12 }, (_, i) => i + 1);
const monthStart = (month: number): string => (month > 12 ? "2025-01-01" : `2024-${String(month).padStart(2, "0")}-01`);

/** A log: partitions of every kind, inheritance, enums, domains, arrays, jsonb, ranges, extended statistics, names that need quotes. */
export const events: Fixture = {
  name: "events",
  searchPath: ["Event Log", "public"],
  role: "postgres",
  fill: (scale) => `
    create extension pg_trgm; create extension btree_gist;
    create schema "Event Log"; set search_path = "Event Log", public;
    select setseed(0.3);
    create type severity as enum ('debug', 'info', 'warning', 'error', 'fatal');
    create domain "Positive Number" as integer check (value > 0);
    create domain mail as text check (value like '%@%');
    create table "Events" ("Id" bigint not null, at timestamptz not null, kind severity not null, source text, payload jsonb, labels text[], "user Id" integer, duration "Positive Number", path text, primary key ("Id", at)) partition by range (at);
    ${months.map((month) => `create table "Events 2024-${String(month)}" partition of "Events" for values from ('${monthStart(month)}') to ('${monthStart(month + 1)}');`).join("\n")}
    create table "Events rest" partition of "Events" default;
    create table measures (device integer not null, region text not null, at timestamp not null, value double precision, quality smallint) partition by list (region);
    create table measures_eu partition of measures for values in ('eu', 'uk');
    create table measures_us partition of measures for values in ('us') partition by range (at);
    create table measures_us_old partition of measures_us for values from (minvalue) to ('2024-07-01');
    create table measures_us_new partition of measures_us for values from ('2024-07-01') to (maxvalue);
    create table measures_rest partition of measures default;
    create table sessions (id uuid not null, "user Id" integer not null, began timestamptz, address inet, agent varchar(60), primary key (id)) partition by hash (id);
    ${[0, 1, 2, 3].map((i) => `create table sessions_${String(i)} partition of sessions for values with (modulus 4, remainder ${String(i)});`).join("\n")}
    create table log (id integer, level text, line text); create table log_old () inherits (log); create table log_new () inherits (log);
    alter table log_old add check (id <= 10000); alter table log_new add check (id > 10000);
    create table "users; drop table x" ("user Id" integer primary key, email mail, city text, zip text, country text, interests integer[], tags varchar[], since date);
    create table "we""ird" ("select" integer, "quo""te" text, "Straße" text, "from" date, span tstzrange, spot point, "a b" char(3));

    insert into "Events" select i, timestamptz '2024-01-01' + i * interval '4 minutes' + random() * interval '2 hours', (enum_range(null::severity))[1 + floor(5 * random() ^ 2.5)::int], 'svc-' || floor(40 * random() ^ 2)::int,
      jsonb_build_object('code', floor(600 * random() ^ 2)::int, 'host', 'h' || floor(200 * random())::int, 'nested', jsonb_build_object('a', i % 10, 'b', substr(md5(i::text), 1, 6))),
      array['l' || floor(30 * random() ^ 2)::int, 'env' || i % 3] || case when random() < 0.3 then array['x' || i % 500] else '{}' end,
      case when random() < 0.9 then 1 + floor(8000 * random() ^ 2)::int end, 1 + floor(5000 * random() ^ 4)::int, '/api/v' || i % 3 || '/' || substr(md5((i % 2000)::text), 1, 8) || '/' || i % 97
      from generate_series(1, ${String(Math.round(130_000 * scale))}) i;
    insert into measures select 1 + floor(500 * random())::int, r.region, timestamp '2024-01-01' + i * interval '3 minutes', random() ^ 3 * 100, floor(4 * random() ^ 4)::int
      from generate_series(1, ${String(Math.round(120_000 * scale))}) i, lateral (select (array['eu','eu','us','us','uk','asia','africa'])[1 + floor(7 * random() ^ 1.2)::int + 0 * i] region) r;
    insert into sessions select md5(i::text)::uuid, 1 + floor(8000 * random() ^ 2)::int, timestamptz '2024-01-01' + i * interval '10 minutes', ('10.' || i % 4 || '.' || i % 200 || '.' || i % 250)::inet, 'Agent ' || i % 30 from generate_series(1, ${String(Math.round(40_000 * scale))}) i;
    insert into log_old select i, 'L' || i % 5, md5(i::text) from generate_series(1, 10000) i;
    insert into log_new select i, 'L' || i % 7, md5(i::text) from generate_series(10001, 30000) i;
    insert into "users; drop table x" select i, 'u' || i || '@log.test', 'City ' || z.zip % 60, lpad(z.zip::text, 5, '0'), 'C' || z.zip % 12, array[i % 9, i % 14, floor(random() * 100)::int], array['v' || i % 11], date '2015-01-01' + (i % 3000) from generate_series(1, ${String(Math.round(8_000 * scale))}) i, lateral (select floor(random() ^ 2 * 600)::int + 0 * i zip) z;
    insert into "we""ird" select i % 500, 'q''"' || i % 100, 'ß' || i, date '2020-01-01' + i % 1000, tstzrange(timestamptz '2024-01-01' + i * interval '1 hour', timestamptz '2024-01-01' + i * interval '1 hour' + random() * interval '5 hours'), point(random() * 100, random() * 100), (array['a','b','c'])[1 + i % 3] from generate_series(1, ${String(Math.round(20_000 * scale))}) i;
    create index events_user on "Events" ("user Id"); create index on measures (device, at); create index on sessions ("user Id");
    create index on log_old (id); create index on log_new (id); create index log_upper on log_new (upper(level), id);
    create index events_labels on "Events" using gin (labels); create index "Weird Span" on "we""ird" using gist (span);
    create index measures_brin on measures_eu using brin (at); create index sessions_agent on sessions_0 using hash (agent);
    create unique index "users'mail" on "users; drop table x" (email);
    create statistics city_zip (ndistinct, dependencies, mcv) on city, zip, country from "users; drop table x";
    create statistics "Weird Stat" on "select", "quo""te" from "we""ird"; create statistics upper_level on (upper(level)), level from log_new;
    alter table "Events" alter column source set statistics 400;`,
  change: `
    set search_path = "Event Log", public;
    delete from "Events" where "Id" % 10 = 3; update "Events" set duration = 1 + duration::integer, kind = 'fatal' where "Id" % 10 = 4;
    insert into "Events" select 10000000 + i, timestamptz '2024-12-20' + i * interval '1 minute', 'error', 'svc-late', '{"code": 999}', array['late'], 1 + i % 8000, 5, '/late' from generate_series(1, (select count(*)::int / 10 from "Events")) i;
    delete from measures where device % 10 = 1; update measures set quality = 3 where device % 10 = 2;
    insert into measures select 1 + i % 500, 'eu', timestamp '2025-01-01' + i * interval '1 minute', 50, 0 from generate_series(1, (select count(*)::int / 10 from measures)) i;
    update sessions set agent = 'Agent late' where "user Id" % 5 = 0; delete from sessions where "user Id" % 6 = 1;
    insert into log_new select i, 'L9', 'late' from generate_series(30001, 36000) i; delete from log_old where id % 4 = 0;
    update "users; drop table x" set city = 'City late' where "user Id" % 4 = 0; update "we""ird" set "select" = 7 where "select" % 4 = 0;`,
  queries: [
    `select * from "Events" where "Id" = 500`,
    `select * from "Events" where "user Id" = 77 order by at desc limit 10`,
    `select * from "Events" where at between '2024-03-01' and '2024-03-03'`,
    `select count(*) from "Events" where at >= '2024-12-25'`,
    `select count(*) from "Events" where at >= '2024-11-01' and kind = 'error'`,
    `select kind, count(*) from "Events" group by kind`,
    `select * from "Events" where kind = 'fatal' and at > '2024-10-01'`,
    `select * from "Events" where kind in ('error', 'fatal') and source = 'svc-7'`,
    `select * from "Events" where kind > 'warning' limit 20`,
    `select * from "Events" where labels @> array['x77']`,
    `select * from "Events" where labels && array['l29', 'l28'] and at < '2024-02-01'`,
    `select * from "Events" where 'env1' = any (labels) and kind = 'error'`,
    `select * from "Events" where payload @> '{"code": 500}'`,
    `select * from "Events" where payload ->> 'host' = 'h5' and at >= '2024-06-01'`,
    `select * from "Events" where payload -> 'nested' ->> 'b' = 'c4ca42'`,
    `select * from "Events" where payload ? 'missing'`,
    `select * from "Events" where duration > 4000`,
    `select * from "Events" where path like '/api/v1/c4%'`,
    `select source, percentile_cont(0.9) within group (order by duration::integer) from "Events" group by source`,
    `select date_trunc('day', at) d, kind, count(*) from "Events" where at < '2024-02-01' group by 1, 2`,
    `select source, kind, count(*) from "Events" group by grouping sets ((source, kind), (source), ())`,
    `select distinct source from "Events"`,
    `select distinct on ("user Id") * from "Events" where at > '2024-12-01' order by "user Id", at desc`,
    `select "user Id", at, lag(at) over (partition by "user Id" order by at) from "Events" where "user Id" < 20`,
    `select * from (select e.*, row_number() over (partition by source order by at desc) n from "Events" e where kind = 'fatal') x where n < 3`,
    `select u.email, count(*) from "users; drop table x" u join "Events" e on e."user Id" = u."user Id" where u.country = 'C3' group by 1`,
    `select u.* from "users; drop table x" u where exists (select from "Events" e where e."user Id" = u."user Id" and e.kind = 'fatal')`,
    `select u.* from "users; drop table x" u where not exists (select from sessions s where s."user Id" = u."user Id")`,
    `select u.email, l.at from "users; drop table x" u cross join lateral (select at from "Events" e where e."user Id" = u."user Id" order by at desc limit 1) l where u.city = 'City 5'`,
    `with slow as (select * from "Events" where duration > 3000) select s.source, u.city from slow s join "users; drop table x" u using ("user Id")`,
    `with recursive n(i) as (select 1 union all select i + 1 from n where i < 10) select n.i, m.value from n join measures m on m.device = n.i where m.region = 'uk'`,
    `select jsonb_object_keys(payload), count(*) from "Events 2024-2" group by 1`,
    `select l, count(*) from "Events" e, unnest(e.labels) l where e.at < '2024-01-20' group by 1`,
    `select * from "Events rest" where kind = 'debug'`,
    `select * from measures where device = 5`,
    `select * from measures where device = 5 and at > '2024-07-15'`,
    `select * from measures where region = 'us' and at < '2024-02-01'`,
    `select region, avg(value) from measures group by region`,
    `select * from measures where region in ('eu', 'asia') and quality = 3`,
    `select * from measures where value > 99`,
    `select device, max(at) from measures where region = 'uk' group by device`,
    `select * from measures_eu where at between '2024-05-01' and '2024-05-02'`,
    `select * from measures_eu where at > '2025-01-05'`,
    `select a.device, b.value from measures_us a join measures_eu b on a.device = b.device and a.at = b.at where a.quality = 2`,
    `select * from sessions where id = 'c4ca4238-a0b9-2382-0dcc-509a6f75849b'`,
    `select * from sessions where "user Id" = 42`,
    `select * from sessions where address << '10.2.0.0/16'`,
    `select * from sessions_0 where agent = 'Agent 7'`,
    `select agent, count(*) from sessions group by agent having count(*) > 5`,
    `select * from sessions where began > '2024-10-01' order by began`,
    `select * from log where id = 500`,
    `select * from log where id > 29900`,
    `select * from log where id between 9990 and 10010`,
    `select * from log_new where upper(level) = 'L3'`,
    `select level, count(*) from log group by level`,
    `select * from "users; drop table x" where city = 'City 7' and zip = '00067' and country = 'C7'`,
    `select city, zip, country, count(*) from "users; drop table x" group by 1, 2, 3`,
    `select * from "users; drop table x" where email = 'u9@log.test'`,
    `select * from "users; drop table x" where interests @> array[5, 8]`,
    `select * from "users; drop table x" where 'v3' = any (tags) and since > '2022-01-01'`,
    `select * from "we""ird" where "select" = 5 and "quo""te" = 'q''"5'`,
    `select "a b", count(distinct "Straße") from "we""ird" group by 1`,
    `select * from "we""ird" where span && tstzrange('2024-05-01', '2024-05-02')`,
    `select * from "we""ird" where span @> timestamptz '2024-06-01'`,
    `select * from "we""ird" order by spot <-> point(5, 5) limit 3`,
    `select * from "we""ird" where "from" > '2022-09-20'`,
    `select "user Id" from sessions union select "user Id" from "Events" where kind = 'error'`,
    `select "user Id" from "users; drop table x" except select "user Id" from sessions`,
    `select device from measures where quality = 3 intersect select "user Id" from sessions`,
    `update "Events" set duration = 7 where "Id" = 12 and at < '2024-02-01'`,
    `delete from measures where region = 'uk' and at < '2024-01-05'`,
  ],
  causes: [{ index: /labels/, cause: pendingEntries }],
  pairs: [
    pairs(
      "Events",
      ["at"],
      [
        `select * from "Events" where at between '2024-03-01' and '2024-03-02'`,
        `select * from "Events" order by at desc limit 10`,
      ],
    ),
    pairs(
      "Events",
      ["kind", key("at", { direction: "desc" })],
      [
        `select * from "Events" where kind = 'fatal' and at > '2024-10-01'`,
        `select * from "Events" where kind = 'fatal' order by at desc limit 5`,
      ],
    ),
    pairs("Events", ["source"], [`select source, count(*) from "Events" where source = 'svc-39' group by 1`], {
      include: ["kind"],
    }),
    pairs("Events", ["duration"], [`select * from "Events" where duration > 4500 and kind = 'error'`], {
      where: `(kind = 'error'::"Event Log".severity)`,
    }),
    pairs("Events", ["payload"], [`select * from "Events" where payload @> '{"code": 599}'`], { method: "gin" }),
    pairs(
      "Events",
      [key("payload", { opclass: "jsonb_path_ops" })],
      [
        `select * from "Events" where payload @> '{"code": 599}'`,
        `select * from "Events" where payload @> '{"nested": {"b": "c4ca42"}}'`,
      ],
      { method: "gin" },
    ),
    pairs(
      "Events",
      [key("path", { opclass: "gin_trgm_ops" })],
      [`select * from "Events" where path like '%c4ca4%' and at < '2024-02-01'`],
      { method: "gin" },
    ),
    pairs(
      "Events",
      [key("path", { opclass: "text_pattern_ops" })],
      [`select * from "Events" where path like '/api/v1/c4%'`],
    ),
    pairs(
      "Events",
      [key("payload", { expression: "(payload ->> 'host'::text)" })],
      [`select * from "Events" where payload ->> 'host' = 'h5'`],
    ),
    pairs("Events", ["at"], [`select count(*) from "Events" where at between '2024-03-01' and '2024-03-02'`], {
      method: "brin",
    }),
    pairs(
      "measures",
      ["at"],
      [
        `select * from measures where at > '2024-09-05'`,
        `select * from measures where region = 'us' and at < '2024-01-03'`,
      ],
    ),
    pairs(
      "measures",
      ["value"],
      [`select * from measures where value > 99.5`, `select max(value) from measures where region = 'eu'`],
    ),
    pairs(
      "measures_eu",
      ["device", "quality"],
      [
        `select * from measures_eu where device = 5 and quality = 3`,
        `select device, count(*) from measures_eu group by device`,
      ],
    ),
    pairs("measures", ["device"], [`select * from measures where device = 77`], { method: "hash" }),
    pairs("measures_us_new", ["value"], [`select * from measures_us_new where quality = 2 and value > 90`], {
      where: "(quality = 2)",
    }),
    pairs("sessions", ["began"], [`select * from sessions where began > '2024-10-01'`]),
    pairs(
      "sessions",
      [key("address", { opclass: "inet_ops" })],
      [`select * from sessions where address << '10.2.5.0/24'`],
      { method: "gist" },
    ),
    pairs(
      "sessions",
      ["agent"],
      [`select * from sessions where agent = 'Agent 7' limit 10`, `select agent, count(*) from sessions group by 1`],
    ),
    pairs(
      "users; drop table x",
      ["country", "city", "zip"],
      [`select * from "users; drop table x" where country = 'C7' and city = 'City 7'`],
    ),
    pairs(
      "users; drop table x",
      ["interests"],
      [`select * from "users; drop table x" where interests @> array[5, 8]`],
      { method: "gin" },
    ),
    pairs(
      "users; drop table x",
      ["tags"],
      [`select * from "users; drop table x" where tags @> array['v3']::varchar[]`],
      { method: "gin" },
    ),
    pairs("users; drop table x", ["since"], [`select * from "users; drop table x" where since > '2023-03-01'`]),
    pairs('we"ird', ["span"], [`select * from "we""ird" where span @> timestamptz '2024-06-01'`], { method: "spgist" }),
    pairs(
      'we"ird',
      ["spot"],
      [
        `select * from "we""ird" where spot <@ box '(1,1),(3,3)'`,
        `select * from "we""ird" order by spot <-> point(5, 5) limit 3`,
      ],
      { method: "gist" },
    ),
    pairs('we"ird', ["spot"], [`select * from "we""ird" where spot <@ box '(1,1),(2,2)'`], { method: "spgist" }),
    pairs(
      'we"ird',
      ["from", "select"],
      [
        `select * from "we""ird" where "from" = '2021-05-05'`,
        `select * from "we""ird" where "from" > '2022-09-20' order by "from"`,
      ],
    ),
    pairs('we"ird', ["from"], [`select * from "we""ird" where "from" > '2022-09-22'`], { method: "gist" }),
    pairs('we"ird', ["Straße"], [`select * from "we""ird" where "Straße" = 'ß77'`]),
    pairs("log_new", ["line"], [`select * from log_new where line = 'abc'`]),
    pairs("log_new", ["level", "id"], [`select * from log_new where level = 'L3' order by id limit 5`]),
  ],
};
