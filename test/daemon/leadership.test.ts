import { describe, expect, test } from "vitest";
import { openSession, resolveConnection } from "../../src/postgres/index.ts";
import { migrations } from "../../src/store/migrations/index.ts";
import { startStandby } from "../surfaces/standby.ts";
import { openShop } from "../rollout/fixtures/rollout.ts";
import { one, until, withTarget } from "../rollout/fixtures/target.ts";
import { openAddress, startDaemon, toLead } from "./daemons.ts";

describe("of several daemons of one database", () => {
  const target = withTarget(18);

  test("twenty that start at once have one leader and one schema; whoever follows it does so in seconds", async () => {
    await target().database("twenty");
    const url = target().server.url("twenty", "builder");
    // A quiet database: who leads is what is asked here.
    const daemons = await Promise.all(Array.from({ length: 20 }, () => startDaemon(url, { mode: "observe" })));
    const inRole = (role: string) => daemons.filter(({ standing }) => standing.role === role);
    await until(
      "all have their role",
      () => Promise.resolve(inRole("leader").length + inRole("standby").length === 20),
      60_000,
    );
    expect(inRole("leader")).toHaveLength(1);
    const admin = await target().open("twenty", "postgres");
    await until(
      "the schema is made",
      async () => (await admin.query("select from pg_class where oid = to_regclass('indexpilot.duty')")).length === 1,
    );
    await until(
      "it is bound to its database",
      async () => (await admin.query("select from indexpilot.installation")).length > 0,
    );
    expect(
      await one(
        admin,
        `select (select count(*)::int from indexpilot.migration) as migrations,
                (select count(*)::int from indexpilot.installation) as installations`,
      ),
    ).toEqual({ migrations: migrations.length, installations: 1 });
    const [leader] = inRole("leader");
    leader?.drain();
    await leader?.ended;
    await until("another leads", () => Promise.resolve(inRole("leader").length === 1), 15_000);
    expect(inRole("standby")).toHaveLength(18);
    for (const daemon of daemons) daemon.drain();
    await Promise.all(daemons.map(({ ended }) => ended));
    expect(inRole("ended")).toHaveLength(20);
  });

  test("the leader follows its database to the standby that was promoted, and clears up there what was being built", async () => {
    const shop = await openShop(target());
    await shop.admin.query("create extension pg_stat_statements");
    const deployment = await shop.approved();
    const standby = await startStandby(target().server);
    const address = await openAddress(target().server.port);
    const at = (port: number) =>
      target()
        .server.url("shop")
        .replace(`:${String(target().server.port)}/`, `:${String(port)}/`);
    // The installation is bound to the address by which its database is reached.
    await shop.admin.query("update indexpilot.installation set port = $1", [address.port]);
    const holder = await target().open("shop", "stranger", "build");
    await holder.script("begin; lock table orders in row exclusive mode");
    const daemon = await startDaemon(at(address.port), { mode: "approve", adviseEveryMs: 3_600_000 });
    await shop.context.store.deployments.transition(deployment.id, {
      from: "approved",
      to: "approved",
      event: "approve",
      actor: "ann",
      at: new Date(),
    });
    try {
      await until(
        "it is building",
        async () => (await shop.admin.query("select from pg_stat_progress_create_index")).length > 0,
        60_000,
      );
      const [written] = await shop.admin.query<{ lsn: string }>("select pg_current_wal_lsn()::text as lsn");
      const replica = await openSession(resolveConnection(at(standby.port), {}), "watch");
      await until("the standby knows", async () => {
        const [row] = await replica.query<{ done: boolean }>("select pg_last_wal_replay_lsn() >= $1::pg_lsn as done", [
          written?.lsn,
        ]);
        return row?.done === true;
      });
      // As long as it is none, nobody leads it.
      address.turnTo(standby.port);
      await until("it stands by", () => Promise.resolve(daemon.standing.role === "standby"), 30_000);
      await replica.query("select pg_promote()");
      await toLead(daemon);
      await until(
        "the leftover is taken up",
        async () => {
          const [row] = await replica.query<{ state: string }>(
            "select state from indexpilot.deployment where id = $1",
            [deployment.id],
          );
          return row?.state === "failed";
        },
        60_000,
      );
      expect(
        await replica.query("select from pg_index where indrelid = 'orders'::regclass and not indisvalid"),
      ).toEqual([]);
      await replica.close();
    } finally {
      daemon.drain();
      await daemon.ended;
      await address.close();
      await standby.stop();
      await holder.query("rollback");
    }
  });
});
