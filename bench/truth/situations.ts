import type { Draw, Situation } from "./situation.ts";

const pad = (alias: string): string => `md5((${alias})::text) || md5(((${alias}) * 7)::text)`;

/** Every kind of index, each in a table of its own. */
const kinds: readonly ((draw: Draw) => Situation)[] = [
  (d) => {
    const [t, c, rows] = [d.name("orders"), d.name("customer"), d.int(30_000, 60_000)];
    return {
      name: "equality",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${c} int, pad text);
        insert into ${t} select g, (random() * 3000)::int, ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(30, () => `select * from ${t} where ${c} = ${String(d.int(1, 3000))}`),
      answers: { btree: [`create index on ${t} (${c})`] },
    };
  },
  (d) => {
    const [t, a, b, rows] = [d.name("events"), d.name("kind"), d.name("at"), d.int(40_000, 60_000)];
    return {
      name: "equality and range",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${a} int, ${b} timestamp, pad text);
        insert into ${t} select g, (random() * 20)::int, timestamp '2024-01-01' + random() * interval '300 days', ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(30, () => {
        const day = d.int(1, 290);
        return `select * from ${t} where ${a} = ${String(d.int(0, 20))} and ${b} between timestamp '2024-01-01' + interval '${String(day)} days' and timestamp '2024-01-01' + interval '${String(day + 3)} days'`;
      }),
      answers: { composite: [`create index on ${t} (${a}, ${b})`], reversed: [`create index on ${t} (${b}, ${a})`] },
    };
  },
  (d) => {
    const [t, c, o, rows] = [d.name("posts"), d.name("author"), d.name("posted"), d.int(40_000, 70_000)];
    return {
      name: "order by and limit",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${c} int, ${o} timestamp, pad text);
        insert into ${t} select g, (random() * 50)::int, timestamp '2024-01-01' + random() * interval '300 days', ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(30, () => `select * from ${t} where ${c} = ${String(d.int(0, 50))} order by ${o} desc limit 10`),
      answers: { composite: [`create index on ${t} (${c}, ${o})`], single: [`create index on ${t} (${c})`] },
    };
  },
  (d) => {
    const [t, k, v, rows] = [d.name("lines"), d.name("shopkey"), d.name("amount"), d.int(50_000, 80_000)];
    return {
      name: "covering",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${k} int, ${v} int, pad text);
        insert into ${t} select g, (random() * 60)::int, (random() * 1000)::int, ${pad("g")} || ${pad("g + 1")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(25, () => `select sum(${v}) from ${t} where ${k} = ${String(d.int(0, 60))}`),
      answers: {
        include: [`create index on ${t} (${k}) include (${v})`],
        keyed: [`create index on ${t} (${k}, ${v})`],
        plain: [`create index on ${t} (${k})`],
      },
    };
  },
  (d) => {
    const [t, a, b, rows] = [d.name("ranking"), d.name("league"), d.name("points"), d.int(30_000, 50_000)];
    return {
      name: "mixed sort",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${a} int not null, ${b} int not null, pad text);
        insert into ${t} select g, (random() * 1000)::int, (random() * 100000)::int, ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(20, (i) => `select * from ${t} order by ${a}, ${b} desc limit ${String(10 + i)}`),
      answers: { mixed: [`create index on ${t} (${a}, ${b} desc)`], plain: [`create index on ${t} (${a}, ${b})`] },
    };
  },
  (d) => {
    const [p, t, f, rows] = [d.name("invoice"), d.name("position"), d.name("invoice_ref"), d.int(50_000, 80_000)];
    return {
      name: "join",
      tables: [p, t],
      setup: `create table ${p} (id int primary key, no int unique); insert into ${p} select g, g * 3 from generate_series(1, 8000) g;
        create table ${t} (id int primary key, ${f} int, pad text);
        insert into ${t} select g, (random() * 7999)::int + 1, ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(
        25,
        () => `select t.* from ${p} p join ${t} t on t.${f} = p.id where p.no = ${String(3 * d.int(1, 8000))}`,
      ),
      answers: { btree: [`create index on ${t} (${f})`] },
    };
  },
  (d) => {
    const [t, c, rows] = [d.name("accounts"), d.name("owner"), d.int(50_000, 70_000)];
    return {
      name: "soft delete",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${c} int, deleted_at timestamp, pad text);
        insert into ${t} select g, (random() * 3000)::int, case when random() < 0.8 then timestamp '2024-01-01' end, ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(30, () => `select * from ${t} where ${c} = ${String(d.int(1, 3000))} and deleted_at is null`),
      answers: {
        partial: [`create index on ${t} (${c}) where deleted_at is null`],
        whole: [`create index on ${t} (${c})`],
      },
      mustMatch: /where \(deleted_at IS NULL\)/,
    };
  },
  (d) => {
    const [t, flag, rows] = [d.name("jobs"), d.name("finished"), d.int(60_000, 90_000)];
    return {
      name: "boolean queue",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${flag} boolean not null, queued timestamp, pad text);
        insert into ${t} select g, random() < 0.985, timestamp '2024-01-01' + g * interval '1 min', ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(20, () => `select * from ${t} where not ${flag} order by queued limit 50`),
      answers: {
        partial: [`create index on ${t} (queued) where not ${flag}`],
        whole: [`create index on ${t} (${flag}, queued)`],
      },
      mustMatch: /where \(NOT /,
    };
  },
  (d) => {
    const [t, s, rows] = [d.name("tickets"), d.name("state"), d.int(50_000, 80_000)];
    const rare = d.pick(["open", "waiting", "stuck"]);
    return {
      name: "frequent constant",
      tables: [t],
      asFiles: true,
      setup: `create table ${t} (id int primary key, ${s} varchar(20), queue int, pad text);
        insert into ${t} select g, case when random() < 0.03 then '${rare}' else 'closed' end, (random() * 50)::int, ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(6, (i) => `select * from ${t} where ${s} = '${rare}' and queue = ${String(i + 2)}`),
      answers: {
        partial: [`create index on ${t} (queue) where ${s} = '${rare}'`],
        whole: [`create index on ${t} (${s}, queue)`],
      },
    };
  },
  (d) => {
    const [t, c, rows] = [d.name("nodes"), d.name("replaces"), d.int(50_000, 80_000)];
    return {
      name: "sparse column",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${c} int, pad text);
        insert into ${t} select g, case when random() < 0.05 then (random() * 90000)::int end, ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(30, () => `select * from ${t} where ${c} = ${String(d.int(1, 90_000))}`),
      answers: {
        partial: [`create index on ${t} (${c}) where ${c} is not null`],
        whole: [`create index on ${t} (${c})`],
      },
    };
  },
  (d) => {
    const [t, e, rows] = [d.name("users"), d.name("email"), d.int(30_000, 50_000)];
    return {
      name: "lower()",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${e} varchar(120), pad text);
        insert into ${t} select g, 'User.' || g || '@Example.org', ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(25, () => `select * from ${t} where lower(${e}) = 'user.${String(d.int(1, rows))}@example.org'`),
      answers: { expression: [`create index on ${t} (lower(${e}))`], column: [`create index on ${t} (${e})`] },
    };
  },
  (d) => {
    const [t, at, rows] = [d.name("visits"), d.name("seen"), d.int(40_000, 60_000)];
    return {
      name: "date_trunc()",
      tables: [t],
      asFiles: true,
      setup: `create table ${t} (id int primary key, ${at} timestamp, pad text);
        insert into ${t} select g, timestamp '2024-01-01' + random() * interval '700 days', ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(
        20,
        () =>
          `select * from ${t} where date_trunc('day', ${at}) = timestamp '2024-01-01' + interval '${String(d.int(1, 690))} days'`,
      ),
      answers: {
        expression: [`create index on ${t} (date_trunc('day', ${at}))`],
        column: [`create index on ${t} (${at})`],
      },
    };
  },
  (d) => {
    const [t, j, rows] = [d.name("settings"), d.name("data"), d.int(30_000, 50_000)];
    return {
      name: "jsonb member",
      tables: [t],
      asFiles: true,
      setup: `create table ${t} (id int primary key, ${j} jsonb);
        insert into ${t} select g, jsonb_build_object('ref', md5(g::text), 'n', g % 10, 'note', ${pad("g")}) from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(20, () => `select * from ${t} where ${j} ->> 'ref' = md5('${String(d.int(1, rows))}')`),
      answers: {
        hash: [`create index on ${t} using hash ((${j} ->> 'ref'))`],
        btree: [`create index on ${t} ((${j} ->> 'ref'))`],
      },
      laterWrite: `insert into ${t} select 0, jsonb_build_object('ref', string_agg(md5(g::text), '')) from generate_series(1, 500) g`,
    };
  },
  (d) => {
    const [t, j, rows] = [d.name("documents"), d.name("payload"), d.int(30_000, 50_000)];
    return {
      name: "jsonb containment",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${j} jsonb);
        insert into ${t} select g, jsonb_build_object('tag', (random() * 5000)::int, 'n', g % 10, 'note', md5(g::text)) from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(20, () => `select * from ${t} where ${j} @> '{"tag": ${String(d.int(1, 5000))}}'`),
      answers: {
        path: [`create index on ${t} using gin (${j} jsonb_path_ops)`],
        all: [`create index on ${t} using gin (${j})`],
      },
    };
  },
  (d) => {
    const [t, j, rows] = [d.name("profiles"), d.name("extra"), d.int(30_000, 50_000)];
    return {
      name: "jsonb key",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${j} jsonb);
        insert into ${t} select g, jsonb_build_object('k' || g % 3000, 1, 'always', md5(g::text)) from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(20, () => `select * from ${t} where ${j} ? 'k${String(d.int(1, 2999))}'`),
      answers: {
        all: [`create index on ${t} using gin (${j})`],
        path: [`create index on ${t} using gin (${j} jsonb_path_ops)`],
      },
    };
  },
  (d) => {
    const [t, a, rows] = [d.name("photos"), d.name("labels"), d.int(30_000, 50_000)];
    return {
      name: "array",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${a} int[], pad text);
        insert into ${t} select g, array[(random() * 4000)::int, (random() * 4000)::int, (random() * 4000)::int], ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(
        20,
        () => `select * from ${t} where ${a} ${d.pick(["@>", "&&"])} array[${String(d.int(1, 4000))}]`,
      ),
      answers: { gin: [`create index on ${t} using gin (${a})`] },
    };
  },
  (d) => {
    const [t, b, rows] = [d.name("articles"), d.name("body"), d.int(8_000, 12_000)];
    return {
      name: "full text",
      tables: [t],
      asFiles: true,
      setup: `create table ${t} (id int primary key, ${b} text);
        insert into ${t} select g, 'the word' || (random() * 3000)::int || ' and word' || (random() * 3000)::int || ' meet word' || (random() * 3000)::int from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(
        10,
        () =>
          `select * from ${t} where to_tsvector('english', ${b}) @@ to_tsquery('english', 'word${String(d.int(1, 3000))}')`,
      ),
      answers: { gin: [`create index on ${t} using gin (to_tsvector('english', ${b}))`] },
    };
  },
  (d) => {
    const [t, n, rows] = [d.name("companies"), d.name("title"), d.int(30_000, 50_000)];
    return {
      name: "trigram",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${n} text);
        insert into ${t} select g, md5(g::text) || ' ' || md5((g * 3)::text) from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(10, () => `select * from ${t} where ${n} ilike '%${d.random().toString(16).slice(2, 9)}%'`),
      answers: {
        trigram: [`create index on ${t} using gin (${n} gin_trgm_ops)`],
        column: [`create index on ${t} (${n})`],
      },
    };
  },
  (d) => {
    const [t, at, rows] = [d.name("readings"), d.name("taken"), d.int(300_000, 400_000)];
    return {
      name: "append-only log",
      tables: [t],
      setup: `create table ${t} (id bigint generated always as identity, ${at} timestamp, v float8, pad text);
        insert into ${t} (${at}, v, pad) select timestamp '2024-01-01' + g * interval '1 min', random(), ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: [
        ...d.times(4, () => {
          const day = d.int(1, 150);
          return `select count(v) from ${t} where ${at} >= timestamp '2024-01-01' + interval '${String(day)} days' and ${at} < timestamp '2024-01-01' + interval '${String(day + 25)} days'`;
        }),
        ...d.times(
          3_000,
          (i) => `insert into ${t} (${at}, v, pad) values (timestamp '2024-12-01' + interval '${String(i)} s', 1, 'x')`,
        ),
      ],
      answers: { brin: [`create index on ${t} using brin (${at})`], btree: [`create index on ${t} (${at})`] },
    };
  },
  (d) => {
    const [t, at, rows] = [d.name("telemetry"), d.name("sent"), d.int(300_000, 400_000)];
    return {
      name: "append-only log, written all the time",
      tables: [t],
      setup: `create table ${t} (id bigint generated always as identity, ${at} timestamp, pad text);
        insert into ${t} (${at}, pad) select timestamp '2024-01-01' + g * interval '1 min', ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: [
        ...d.times(2, () => {
          const day = d.int(1, 150);
          return `select count(pad) from ${t} where ${at} >= timestamp '2024-01-01' + interval '${String(day)} days' and ${at} < timestamp '2024-01-01' + interval '${String(day + 20)} days'`;
        }),
        ...d.times(
          25,
          (i) =>
            `insert into ${t} (${at}, pad) select timestamp '2024-12-01' + interval '${String(i)} hours' + g * interval '1 s', 'x' from generate_series(1, 1000) g`,
        ),
      ],
      answers: { brin: [`create index on ${t} using brin (${at})`], btree: [`create index on ${t} (${at})`] },
    };
  },
  (d) => {
    const [t, r, rows] = [d.name("bookings"), d.name("during"), d.int(30_000, 50_000)];
    return {
      name: "range overlap",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${r} int4range, pad text);
        insert into ${t} select g, int4range(x, x + 20), ${pad("g")} from (select g, (random() * 1000000)::int as x from generate_series(1, ${String(rows)}) g) s`,
      traffic: d.times(20, () => {
        const from = d.int(1, 1_000_000);
        return `select * from ${t} where ${r} && int4range(${String(from)}, ${String(from + 30)})`;
      }),
      answers: { gist: [`create index on ${t} using gist (${r})`] },
    };
  },
  (d) => {
    const [t, u, rows] = [d.name("pages"), d.name("url"), d.int(20_000, 30_000)];
    return {
      name: "long text, equality",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${u} text);
        insert into ${t} select g, 'https://example.org/' || repeat(md5(g::text), 6) from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(
        20,
        () => `select * from ${t} where ${u} = 'https://example.org/' || repeat(md5('${String(d.int(1, rows))}'), 6)`,
      ),
      answers: { hash: [`create index on ${t} using hash (${u})`], btree: [`create index on ${t} (${u})`] },
      laterWrite: `insert into ${t} select 0, string_agg(md5(g::text), '') from generate_series(1, 500) g`,
    };
  },
  (d) => {
    const [t, n, rows] = [d.name("cities"), d.name("label"), d.int(40_000, 60_000)];
    return {
      name: "left-anchored LIKE",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${n} varchar(60), pad text);
        insert into ${t} select g, md5(g::text), ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(20, () => `select * from ${t} where ${n} like '${d.random().toString(16).slice(2, 6)}%'`),
      answers: { pattern: [`create index on ${t} (${n} varchar_pattern_ops)`], plain: [`create index on ${t} (${n})`] },
    };
  },
  (d) => {
    const [t, n, rows] = [d.name("files"), d.name("path"), d.int(40_000, 60_000)];
    return {
      name: "left-anchored LIKE on unbounded text",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${n} text, pad text);
        insert into ${t} select g, md5(g::text) || '/' || g, ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(20, () => `select * from ${t} where ${n} like '${d.random().toString(16).slice(2, 7)}%'`),
      answers: {
        spgist: [`create index on ${t} using spgist (${n})`],
        btree: [`create index on ${t} (${n} text_pattern_ops)`],
      },
      laterWrite: `insert into ${t} select 0, string_agg(md5(g::text), ''), '' from generate_series(1, 500) g`,
    };
  },
  (d) => {
    const [t, s, rows] = [d.name("deals"), d.name("stage"), d.int(40_000, 60_000)];
    const other = d.name("contacts");
    return {
      name: "tenant",
      tables: [t, other],
      setup: [t, other]
        .map(
          (one) => `create table ${one} (id int primary key, tenant_id int, ${s} int, pad text);
          insert into ${one} select g, (random() * 80)::int, (random() * 60)::int, ${pad("g")} from generate_series(1, ${String(rows)}) g;`,
        )
        .join("\n"),
      traffic: d.times(
        30,
        (i) =>
          `select * from ${i % 2 === 0 ? t : other} where tenant_id = ${String(d.int(0, 80))} and ${s} = ${String(d.int(0, 60))}`,
      ),
      answers: { tenant: [`create index on ${t} (tenant_id, ${s})`, `create index on ${other} (tenant_id, ${s})`] },
    };
  },
  (d) => {
    const [t, c] = [d.name("metrics"), d.name("device")];
    return {
      name: "partitioned",
      tables: [t],
      setup: `create table ${t} (id int, day int, ${c} int, pad text) partition by range (day);
        create table ${t}_a partition of ${t} for values from (0) to (50);
        create table ${t}_b partition of ${t} for values from (50) to (101);
        insert into ${t} select g, g % 101, (random() * 5000)::int, ${pad("g")} from generate_series(1, 60000) g`,
      traffic: d.times(20, () => `select * from ${t} where ${c} = ${String(d.int(1, 5000))}`),
      answers: { parent: [`create index on ${t} (${c})`] },
    };
  },
  (d) => {
    const [t, a, b, rows] = [d.name("shipments"), d.name("carrier"), d.name("route"), d.int(50_000, 70_000)];
    return {
      name: "one index for two queries",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${a} int, ${b} int, pad text);
        insert into ${t} select g, (random() * 800)::int, (random() * 100)::int, ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: [
        ...d.times(15, () => `select * from ${t} where ${a} = ${String(d.int(0, 800))}`),
        ...d.times(
          15,
          () => `select * from ${t} where ${a} = ${String(d.int(0, 800))} and ${b} = ${String(d.int(0, 100))}`,
        ),
      ],
      answers: { shared: [`create index on ${t} (${a}, ${b})`], single: [`create index on ${t} (${a})`] },
    };
  },
];

/** Where no index is the right answer, or another change is. */
const traps: readonly ((draw: Draw) => Situation)[] = [
  (d) => {
    const [t, c, rows] = [d.name("audit"), d.name("actor"), d.int(8_000, 10_000)];
    return {
      name: "write-heavy table",
      tables: [t],
      setup: `create table ${t} (id bigint generated always as identity primary key, ${c} int);
        insert into ${t} (${c}) select (random() * 5000)::int from generate_series(1, ${String(rows)}) g`,
      traffic: [
        `select count(*) from ${t} where ${c} = ${String(d.int(1, 5000))}`,
        ...d.times(12, () => `insert into ${t} (${c}) select (random() * 5000)::int from generate_series(1, 1500)`),
      ],
      answers: { btree: [`create index on ${t} (${c})`] },
      trap: "writes_cost_more",
    };
  },
  (d) => {
    const [t, c, rows] = [d.name("counters"), d.name("hits"), d.int(8_000, 10_000)];
    return {
      name: "HOT-updated column",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${c} int) with (fillfactor = 50);
        insert into ${t} select g, (random() * 5000)::int from generate_series(1, ${String(rows)}) g`,
      traffic: [
        `select count(*) from ${t} where ${c} = ${String(d.int(1, 5000))}`,
        ...d.times(12, (i) => `update ${t} set ${c} = ${c} + 1 where id % 12 = ${String(i)}`),
      ],
      answers: { btree: [`create index on ${t} (${c})`] },
      trap: "writes_cost_more",
    };
  },
  (d) => {
    const [t, c, rows] = [d.name("members"), d.name("active"), d.int(20_000, 30_000)];
    return {
      name: "low selectivity",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${c} int, pad text);
        insert into ${t} select g, (random())::int, ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(8, (i) => `select count(pad) from ${t} where ${c} = ${String(i % 2)}`),
      answers: { btree: [`create index on ${t} (${c})`] },
      trap: "not_used|gain_too_small",
    };
  },
  (d) => {
    const [t, a, b, rows] = [d.name("parcels"), d.name("depot"), d.name("shelf"), d.int(30_000, 50_000)];
    return {
      name: "existing prefix",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${a} int, ${b} int, pad text);
        insert into ${t} select g, (random() * 2000)::int, (random() * 30)::int, ${pad("g")} from generate_series(1, ${String(rows)}) g;
        create index on ${t} (${a}, ${b})`,
      traffic: d.times(20, () => `select * from ${t} where ${a} = ${String(d.int(0, 2000))}`),
      answers: { single: [`create index on ${t} (${a})`] },
      trap: "exists",
    };
  },
  (d) => {
    const [t, a, b, rows] = [d.name("offers"), d.name("vendor"), d.name("rank"), d.int(30_000, 50_000)];
    const drop = d.name("redundant");
    return {
      name: "redundant index",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${a} int, ${b} int, pad text);
        insert into ${t} select g, (random() * 2000)::int, (random() * 30)::int, ${pad("g")} from generate_series(1, ${String(rows)}) g;
        create index on ${t} (${a}, ${b}); create index ${drop} on ${t} (${a})`,
      traffic: d.times(
        20,
        () => `select * from ${t} where ${a} = ${String(d.int(0, 2000))} and ${b} = ${String(d.int(0, 30))}`,
      ),
      answers: {},
      trap: "exists",
      drops: [drop],
    };
  },
  (d) => {
    const [t, a, rows] = [d.name("labels"), d.name("word"), d.int(30_000, 50_000)];
    const [one, two] = [d.name("first"), d.name("second")];
    return {
      name: "duplicate GIN index",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${a} int[]);
        insert into ${t} select g, array[g % 4000, g % 77] from generate_series(1, ${String(rows)}) g;
        create index ${one} on ${t} using gin (${a}); create index ${two} on ${t} using gin (${a})`,
      traffic: d.times(20, () => `select * from ${t} where ${a} @> array[${String(d.int(0, 3999))}]`),
      answers: {},
      trap: "exists",
      drops: [two],
    };
  },
  (d) => {
    const [t, a, b, rows] = [d.name("returns"), d.name("reason"), d.name("clerk"), d.int(30_000, 50_000)];
    return {
      name: "never-used index",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${a} int, ${b} int, pad text);
        insert into ${t} select g, (random() * 2000)::int, (random() * 30)::int, ${pad("g")} from generate_series(1, ${String(rows)}) g;
        create index on ${t} (${a}); create index on ${t} (${b})`,
      traffic: d.times(20, () => `select * from ${t} where ${a} = ${String(d.int(0, 2000))}`),
      answers: {},
      trap: "unused_not_proved",
    };
  },
  (d) => {
    const [t, c, rows] = [d.name("coupons"), d.name("code"), d.int(30_000, 50_000)];
    return {
      name: "unique constraint",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${c} int unique, pad text);
        insert into ${t} select g, g * 2, ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(20, () => `select * from ${t} where ${c} = ${String(2 * d.int(1, 30_000))}`),
      answers: { single: [`create index on ${t} (${c})`] },
      trap: "exists",
    };
  },
  (d) => {
    const [t, c] = [d.name("countries"), d.name("iso")];
    return {
      name: "tiny table",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${c} int); insert into ${t} select g, g from generate_series(1, 200) g`,
      traffic: d.times(200, () => `select * from ${t} where ${c} = ${String(d.int(1, 200))}`),
      answers: { btree: [`create index on ${t} (${c})`] },
      trap: "tiny_table",
    };
  },
  (d) => {
    const [t, c, rows] = [d.name("comments"), d.name("content"), d.int(20_000, 30_000)];
    return {
      name: "long text, sorted",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${c} text);
        insert into ${t} select g, md5(g::text) || ' ' || md5((g * 3)::text) from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(10, (i) => `select * from ${t} order by ${c} limit ${String(5 + i)}`),
      answers: { btree: [`create index on ${t} (${c})`] },
      laterWrite: `insert into ${t} select 0, string_agg(md5(g::text), '') from generate_series(1, 500) g`,
      trap: "unbounded_width",
    };
  },
  (d) => {
    const [t, c, rows] = [d.name("imports"), d.name("raw"), d.int(20_000, 30_000)];
    return {
      name: "cast that can raise",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${c} text, pad text);
        insert into ${t} select g, (g % 5000)::text, ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(15, () => `select * from ${t} where ${c}::int = ${String(d.int(1, 4999))}`),
      answers: { expression: [`create index on ${t} ((${c}::int))`] },
      laterWrite: `insert into ${t} values (0, 'none', '')`,
      trap: "may_raise",
    };
  },
  (d) => {
    const [t, c, rows] = [d.name("webhooks"), d.name("body"), d.int(20_000, 30_000)];
    return {
      name: "jsonb cast that can raise",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${c} jsonb);
        insert into ${t} select g, jsonb_build_object('n', g % 5000, 'note', ${pad("g")}) from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(15, () => `select * from ${t} where (${c} ->> 'n')::int = ${String(d.int(1, 4999))}`),
      answers: { expression: [`create index on ${t} (((${c} ->> 'n')::int))`] },
      laterWrite: `insert into ${t} values (0, '{"n": "none"}')`,
      trap: "may_raise",
    };
  },
  (d) => {
    const [t, c, rows] = [d.name("logins"), d.name("at"), d.int(20_000, 30_000)];
    return {
      name: "not immutable",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${c} timestamptz, pad text);
        insert into ${t} select g, timestamptz '2024-01-01' + random() * interval '700 days', ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(15, () => `select * from ${t} where ${c}::date = date '2024-01-01' + ${String(d.int(1, 690))}`),
      answers: {},
      trap: "not_immutable",
    };
  },
  (d) => {
    const [t, a, b, rows] = [d.name("addresses"), d.name("city"), d.name("region"), d.int(40_000, 60_000)];
    return {
      name: "correlated columns",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${a} int, ${b} int, pad text);
        insert into ${t} select g, g % 900, (g % 900) / 30, ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(20, () => {
        const city = d.int(0, 899);
        return `select * from ${t} where ${a} = ${String(city)} and ${b} = ${String(Math.floor(city / 30))}`;
      }),
      answers: { city: [`create index on ${t} (${a})`], both: [`create index on ${t} (${a}, ${b})`] },
    };
  },
  (d) => {
    const [t, c, rows] = [d.name("payments"), d.name("status"), d.int(30_000, 50_000)];
    return {
      name: "skewed parameter",
      tables: [t],
      setup: `create table ${t} (id int primary key, ${c} int, pad text);
        insert into ${t} select g, case when random() < 0.96 then 1 else 2 + (random() * 3)::int end, ${pad("g")} from generate_series(1, ${String(rows)}) g`,
      traffic: d.times(15, () => `select count(pad) from ${t} where ${c} = 1`),
      answers: { btree: [`create index on ${t} (${c})`] },
      trap: "not_used|gain_too_small|skewed_parameter",
    };
  },
];

export const situations = (draw: Draw): readonly Situation[] => [...kinds, ...traps].map((make) => make(draw));
