import { type Fixture, key, pairsIn } from "./fixture.ts";

const pairs = pairsIn("app");

const tables = ["users", "projects", "tasks", "comments", "audit"];

/** Many tenants in one schema, kept apart by policies; planned as the application's role. */
export const tenants: Fixture = {
  name: "tenants",
  searchPath: ["app"],
  role: "tenant_app",
  fill: (scale) => `
    create role tenant_app; create role tenant_admin;
    create schema app; set search_path = app;
    select setseed(0.17);
    create type plan as enum ('free', 'team', 'business', 'enterprise');
    create table tenants (id integer primary key, name text not null, plan plan not null, created_on date);
    create table memberships (member name not null, tenant_id integer not null references tenants, primary key (member, tenant_id));
    create table users (id integer primary key, tenant_id integer not null references tenants, email text not null, display text, last_login timestamptz, admin boolean not null, unique (tenant_id, email));
    create table projects (id integer primary key, tenant_id integer not null, name text, archived boolean not null, created_at timestamptz, lead integer);
    create table tasks (id bigint primary key, tenant_id integer not null, project_id integer not null references projects, assignee_id integer, state text not null, priority smallint, due_on date, title text, body text, updated_at timestamptz, parent_id bigint);
    create table comments (id bigint primary key, tenant_id integer not null, task_id bigint not null references tasks, author_id integer, body text, created_at timestamptz);
    create table audit (id bigint primary key, tenant_id integer not null, actor text, action text, at timestamptz not null, detail jsonb);
    insert into tenants select i, 'Tenant ' || i, (enum_range(null::plan))[1 + floor(4 * random() ^ 3)::int], date '2020-01-01' + i from generate_series(1, 400) i;
    insert into memberships select 'tenant_app', i from generate_series(1, 400, 40) i;
    insert into memberships select 'role_' || i % 90, i from generate_series(1, 400) i;
    insert into users select i, 1 + floor(400 * random() ^ 2)::int, 'u' || i || '@tenant.test', substr(md5(i::text), 1, 10), case when random() < 0.8 then timestamptz '2024-06-01' - random() ^ 3 * interval '500 days' end, random() < 0.05 from generate_series(1, ${String(Math.round(15_000 * scale))}) i;
    insert into projects select i, 1 + floor(400 * random() ^ 2)::int, 'Project ' || i, random() < 0.6, timestamptz '2021-01-01' + i * interval '3 hours', 1 + floor(${String(Math.round(15_000 * scale))} * random())::int from generate_series(1, ${String(Math.round(8_000 * scale))}) i;
    insert into tasks select i, p.tenant_id, p.id, case when random() < 0.7 then 1 + floor(${String(Math.round(15_000 * scale))} * random())::int end, (array['done','done','done','open','doing','blocked'])[1 + floor(6 * random() ^ 1.5)::int], floor(5 * random() ^ 2)::int, case when random() < 0.5 then date '2024-01-01' + floor(random() * 250)::int end, 'Task ' || md5(i::text), repeat('lorem ipsum ', (i % 12)::int), timestamptz '2022-01-01' + i * interval '11 minutes', case when random() < 0.2 then greatest(1, i - floor(random() * 50)::int) end
      from generate_series(1, ${String(Math.round(90_000 * scale))}) i join projects p on p.id = 1 + (i::bigint * 7919) % ${String(Math.round(8_000 * scale))};
    insert into comments select i, t.tenant_id, t.id, 1 + floor(${String(Math.round(15_000 * scale))} * random())::int, repeat('words and ', (1 + i % 9)::int), timestamptz '2022-01-02' + i * interval '7 minutes'
      from generate_series(1, ${String(Math.round(130_000 * scale))}) i join tasks t on t.id = 1 + (i::bigint * 104729) % ${String(Math.round(90_000 * scale))};
    insert into audit select i, 1 + floor(400 * random() ^ 2)::int, 'u' || floor(${String(Math.round(15_000 * scale))} * random())::int || '@tenant.test', (array['login','view','edit','delete','export'])[1 + floor(5 * random() ^ 2)::int], timestamptz '2024-01-01' + i * interval '2 minutes', jsonb_build_object('ip', '10.0.' || i % 250 || '.' || i % 200, 'ok', random() < 0.95, 'ms', floor(random() * 900)::int)
      from generate_series(1, ${String(Math.round(120_000 * scale))}) i;
    create index on users (tenant_id); create index on projects (tenant_id, name); create index tasks_tenant_state on tasks (tenant_id, state);
    create index on tasks (project_id); create index on comments (task_id); create index audit_tenant_at on audit (tenant_id, at desc);
    create index tasks_due on tasks (due_on) where state <> 'done';
    grant usage on schema app to tenant_app, tenant_admin; grant select, insert, update, delete on all tables in schema app to tenant_app, tenant_admin;
    ${tables.map((table) => `alter table ${table} enable row level security;`).join("\n")}
    create policy member on users for all to tenant_app using (tenant_id in (select m.tenant_id from app.memberships m where m.member = current_user));
    create policy member on projects for all to tenant_app using (exists (select from app.memberships m where m.member = current_user and m.tenant_id = projects.tenant_id));
    create policy member on tasks for all to tenant_app using (tenant_id = any (array(select m.tenant_id from app.memberships m where m.member = current_user)));
    create policy everyone on comments using (true);
    create policy own on comments as restrictive for all to tenant_app using (tenant_id in (1, 41, 81, 121, 161));
    create policy setting on audit for select to public using (tenant_id = nullif(current_setting('app.tenant', true), '')::integer or action = 'login');
    create policy admin on tasks for all to tenant_admin using (true);`,
  change: `
    set search_path = app;
    delete from comments where id % 10 = 3; update comments set body = body || '!' where id % 10 = 4;
    insert into comments select 10000000 + i, 1 + i % 400, 1 + i % 5000, 5, 'late', timestamptz '2025-01-01' + i * interval '1 minute' from generate_series(1, (select count(*)::int / 10 from comments)) i;
    update tasks set state = 'done', updated_at = timestamptz '2025-01-01' where id % 10 in (4, 5);
    insert into tasks select 10000000 + i, p.tenant_id, p.id, null, 'open', 1, date '2025-01-01', 'late', '', timestamptz '2025-01-02' + i * interval '1 minute', null from generate_series(1, (select count(*)::int / 10 from tasks)) i join projects p on p.id = 1 + i % 4000;
    delete from audit where id % 10 in (1, 2);
    insert into audit select 10000000 + i, 1 + i % 400, 'late', 'login', timestamptz '2025-06-01' + i * interval '2 minutes', '{}' from generate_series(1, (select count(*)::int / 8 from audit)) i;
    update users set last_login = timestamptz '2025-06-01' where id % 3 = 0;
    update projects set archived = true where id % 4 = 0;`,
  queries: [
    "select * from tasks where id = 500",
    "select * from tasks where project_id = 77",
    "select * from tasks where state = 'open' order by updated_at desc limit 20",
    "select count(*) from tasks",
    "select state, count(*) from tasks group by state",
    "select * from tasks where due_on < '2024-01-05' and state <> 'done'",
    "select * from tasks where tenant_id = 41 and state = 'blocked'",
    "select * from tasks where assignee_id = 99",
    "select * from tasks where title like 'Task abc%'",
    "select * from tasks where updated_at > '2023-11-01'",
    "select * from tasks where updated_at > '2025-01-02'",
    "select * from tasks where id > 89900",
    "select max(id) from tasks",
    "select min(updated_at), max(due_on) from tasks where priority = 4",
    "select * from users where email = 'u77@tenant.test'",
    "select * from users where tenant_id = 1 and email = 'u77@tenant.test'",
    "select * from users where last_login is null",
    "select count(*) from users where admin",
    "select * from projects where name = 'Project 5'",
    "select * from projects where tenant_id = 1 order by name limit 10",
    "select * from projects where not archived and created_at > '2023-06-01'",
    "select p.name, count(*) from projects p join tasks t on t.project_id = p.id group by p.id, p.name",
    "select t.*, u.display from tasks t left join users u on u.id = t.assignee_id where t.project_id between 10 and 20",
    "select t.id, count(c.id) from tasks t left join comments c on c.task_id = t.id where t.state = 'blocked' group by t.id",
    "select * from comments where task_id = 1234",
    "select * from comments where created_at > '2023-09-20' order by created_at desc limit 50",
    "select author_id, count(*) from comments group by author_id order by 2 desc limit 10",
    "select * from comments where id in (5, 50, 500, 5000)",
    "select c.*, t.title from comments c join tasks t on t.id = c.task_id where c.author_id = 12",
    "select * from audit where at > '2024-06-10'",
    "select * from audit where tenant_id = 3 order by at desc limit 20",
    "select action, count(*) from audit group by action",
    "select * from audit where detail @> '{\"ok\": false}'",
    "select * from audit where (detail ->> 'ms')::int > 890",
    "select actor, max(at) from audit where action = 'login' group by actor",
    "select date_trunc('day', at), count(*) from audit group by 1 order by 1",
    "select t.name, t.plan, (select count(*) from users u where u.tenant_id = t.id) from tenants t where plan = 'enterprise'",
    "select t.name from tenants t where exists (select from tasks k where k.tenant_id = t.id and k.state = 'blocked')",
    "select t.name from tenants t where not exists (select from projects p where p.tenant_id = t.id and not p.archived)",
    "select * from tasks t where t.parent_id in (select id from tasks where state = 'blocked')",
    "with recursive sub as (select id, parent_id from tasks where id = 100 union all select t.id, t.parent_id from tasks t join sub s on t.parent_id = s.id) select count(*) from sub",
    "with busy as (select project_id, count(*) n from tasks where state = 'open' group by 1) select p.name, b.n from busy b join projects p on p.id = b.project_id order by b.n desc limit 5",
    "select id, row_number() over (partition by project_id order by updated_at desc) from tasks where state = 'doing'",
    "select * from (select t.*, rank() over (partition by tenant_id order by priority desc) r from tasks t) x where r = 1",
    "select distinct on (task_id) * from comments order by task_id, created_at desc",
    "select u.id, x.title from users u cross join lateral (select title from tasks t where t.assignee_id = u.id order by updated_at desc limit 1) x where u.tenant_id = 1",
    "select tenant_id, state, count(*) from tasks group by cube (tenant_id, state)",
    "select id from tasks where state = 'open' union select task_id from comments where author_id < 50",
    "select assignee_id from tasks except select author_id from comments",
    "select tenant_id from users intersect select tenant_id from audit where action = 'export'",
    "select * from memberships where member = 'tenant_app'",
    "select m.member, count(*) from memberships m join users u on u.tenant_id = m.tenant_id group by m.member",
    "update tasks set priority = 1 where project_id = 5 and state = 'open'",
    "delete from comments where task_id = 99",
  ],
  pairs: [
    pairs(
      "tasks",
      ["tenant_id", key("updated_at", { direction: "desc" })],
      [
        "select * from tasks where tenant_id = 41 order by updated_at desc limit 10",
        "select * from tasks where tenant_id = 81 and updated_at > '2023-10-01'",
      ],
    ),
    pairs(
      "tasks",
      ["assignee_id"],
      [
        "select * from tasks where assignee_id = 99",
        "select u.display, count(*) from users u join tasks t on t.assignee_id = u.id where u.tenant_id = 41 group by 1",
      ],
    ),
    pairs(
      "tasks",
      ["updated_at"],
      ["select * from tasks where updated_at > '2023-11-10'", "select * from tasks order by updated_at desc limit 5"],
    ),
    pairs("tasks", ["priority", "due_on"], ["select * from tasks where priority = 4 and due_on > '2024-08-01'"]),
    pairs("tasks", ["parent_id"], ["select * from tasks where parent_id = 1000"]),
    pairs(
      "tasks",
      ["project_id"],
      ["select project_id, state, count(*) from tasks where project_id < 30 group by 1, 2"],
      { include: ["state"] },
    ),
    pairs("tasks", ["updated_at"], ["select * from tasks where state = 'blocked' and updated_at > '2023-06-01'"], {
      where: "(state = 'blocked'::text)",
    }),
    pairs(
      "tasks",
      [key("title", { opclass: "text_pattern_ops" })],
      ["select * from tasks where title like 'Task abc%'"],
    ),
    pairs(
      "tasks",
      [key("title", { expression: "lower(title)" })],
      ["select * from tasks where lower(title) = 'task abc'"],
    ),
    pairs("tasks", ["title"], ["select * from tasks where title = 'Task c4ca4238a0b923820dcc509a6f75849b'"], {
      method: "hash",
    }),
    pairs(
      "tasks",
      ["updated_at"],
      ["select count(*) from tasks where updated_at between '2023-01-01' and '2023-01-05'"],
      { method: "brin" },
    ),
    pairs(
      "comments",
      ["author_id", "created_at"],
      [
        "select * from comments where author_id = 12 order by created_at desc limit 10",
        "select * from comments where author_id in (1, 2, 3)",
      ],
    ),
    pairs("comments", ["created_at"], ["select * from comments where created_at > '2023-09-20'"]),
    pairs("comments", ["tenant_id"], ["select * from comments where tenant_id = 161", "select count(*) from comments"]),
    pairs("comments", ["id"], ["select * from comments where id between 500 and 700"], { method: "brin" }),
    pairs("audit", ["at"], ["select * from audit where at > '2024-06-12'"]),
    pairs(
      "audit",
      ["action", "at"],
      [
        "select * from audit where action = 'login' and at > '2024-06-01'",
        "select max(at) from audit where action = 'login'",
      ],
    ),
    pairs("audit", ["actor"], ["select * from audit where actor = 'u77@tenant.test' and action = 'login'"], {
      method: "hash",
    }),
    pairs(
      "audit",
      ["actor"],
      ["select actor, count(*) from audit where action = 'login' and actor < 'u1001' group by actor"],
      { where: "(action = 'login'::text)" },
    ),
    pairs(
      "audit",
      [key("detail", { opclass: "jsonb_path_ops" })],
      ['select * from audit where detail @> \'{"ip": "10.0.7.7"}\''],
      { method: "gin" },
    ),
    pairs("users", ["email"], ["select * from users where email = 'u77@tenant.test'"]),
    pairs(
      "users",
      ["last_login"],
      [
        "select * from users where last_login < '2023-03-01'",
        "select * from users order by last_login desc nulls last limit 5",
      ],
    ),
    pairs("projects", ["created_at"], ["select * from projects where created_at > '2023-09-15'"], {
      where: "(NOT archived)",
    }),
    pairs("projects", ["lead"], ["select * from projects where lead = 55"]),
  ],
};
