import { expect, test } from "vitest";
import { SqlState, sqlStateOf } from "../../src/postgres/index.ts";
import { openShop } from "../rollout/fixtures/rollout.ts";
import { withTarget } from "../rollout/fixtures/target.ts";
import { indexpilot } from "../surfaces/run.ts";

const target = withTarget(18);

test("the observing role can change nothing, and it is the server that says so", async () => {
  const shop = await openShop(target());
  // As the README grants it.
  await shop.admin.script("create role watcher login; grant pg_monitor, pg_read_all_data to watcher");
  await shop.admin.query("create index mine on orders (note)");
  const observing = await target().open(shop.database, "watcher", "observe");
  expect(await observing.query("select from public.orders limit 1")).toHaveLength(1);
  const changes = [
    "create index on public.orders (note)",
    "create index concurrently on public.orders (note)",
    "drop index public.mine",
    "drop index concurrently public.mine",
    "reindex index concurrently public.mine",
    "alter table public.orders rename to lost",
    "insert into public.customers values (0, 'x')",
    "update public.orders set note = ''",
    "delete from public.orders",
    "truncate public.orders",
    "create schema mine",
    "create table public.mine_too (id int)",
    "update indexpilot.deployment set state = 'approved'",
    "delete from indexpilot.decision",
    "insert into indexpilot.stop_switch values (1, now(), 'me', '')",
    `select pg_cancel_backend(${String(shop.stranger.pid)})`,
    `select pg_terminate_backend(${String(shop.stranger.pid)})`,
    "alter system set work_mem = '1GB'",
  ];
  for (const statement of changes) {
    const answer: unknown = await observing.query(statement).catch((error: unknown) => error);
    expect([statement, sqlStateOf(answer)]).toEqual([statement, SqlState.insufficientPrivilege]);
  }
  // Nor does what works by itself begin with it alone.
  const daemon = await indexpilot(["run", "--url", target().server.url(shop.database, "watcher"), "--json"]);
  expect(daemon).toMatchObject({ code: 4, out: expect.stringContaining('"privilege_missing"') });
});
