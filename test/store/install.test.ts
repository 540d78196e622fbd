import { describe, expect, test } from "vitest";
import type { ServerIdentity } from "../../src/domain/index.ts";
import { readServerIdentity } from "../../src/postgres/index.ts";
import { openStore, type Store } from "../../src/store/index.ts";
import { migrate, pendingMigrations, sha256 } from "../../src/store/migrate.ts";
import { migrations } from "../../src/store/migrations/index.ts";
import { allMajors, one, withTarget } from "../rollout/fixtures/target.ts";

const now = new Date("2026-01-02T03:04:05Z");

describe.each(allMajors)("on PostgreSQL %i", (major) => {
  const target = withTarget(major);

  test("twenty processes that start at once install one schema, and all succeed", async () => {
    await target().database("twenty");
    const sessions = await Promise.all(Array.from({ length: 20 }, () => target().open("twenty", "builder")));
    const stores = await Promise.all(
      sessions.map(async (session) =>
        openStore(session, { create: true, server: await readServerIdentity(session), now }),
      ),
    );
    expect(stores.every((store) => store !== null)).toBe(true);
    const [session] = sessions;
    if (session === undefined) throw new Error("no session");
    const counts = await one(
      session,
      `select (select count(*)::int from indexpilot.migration) as migrations,
              (select count(*)::int from indexpilot.installation) as installations`,
    );
    expect(counts).toEqual({ migrations: migrations.length, installations: 1 });
    await Promise.all(sessions.map((each) => each.close()));
  });

  test("a database administrator finds a comment on every table that says what it keeps and for how long", async () => {
    const session = await target().open("twenty", "postgres");
    const silent = await session.query(
      `select relname from pg_class where relnamespace = 'indexpilot'::regnamespace and relkind = 'r'
       and coalesce(obj_description(oid, 'pg_class'), '') !~* 'kept for|removed with'`,
    );
    expect(silent).toEqual([]);
  });
});

describe("the schema indexpilot", () => {
  const target = withTarget(18);
  const fresh = async (name = "store") => {
    await target().database(name);
    const session = await target().open(name, "builder");
    return { name, session, server: await readServerIdentity(session) };
  };

  test("is not made by commands that only read", async () => {
    const { session, server } = await fresh();
    expect(await openStore(session, { create: false, server, now })).toBeNull();
    expect(await session.query("select from pg_namespace where nspname = 'indexpilot'")).toEqual([]);
  });

  test("is opened for reading where it exists", async () => {
    const { session, server } = await fresh();
    await openStore(session, { create: true, server, now });
    expect(await openStore(session, { create: false, server, now })).not.toBeNull();
  });

  test("is not created where an administrator has already made it for a role that may not", async () => {
    const { name, server } = await fresh();
    const admin = await target().open(name, "postgres");
    await admin.query("create schema indexpilot authorization nobody_special");
    const session = await target().open(name, "nobody_special");
    expect(await openStore(session, { create: true, server, now })).not.toBeNull();
  });

  test("is refused, with the remedy, to a role whose transactions are read-only", async () => {
    const { name, server } = await fresh();
    const session = await target().open(name, "nobody_special");
    await session.query("set default_transaction_read_only = on");
    await expect(openStore(session, { create: true, server, now })).rejects.toMatchObject({
      code: "read_only_role",
      remedy: expect.stringContaining("reset default_transaction_read_only") as string,
    });
  });

  test("is refused with the exact GRANT to a role that may not create it, which then works", async () => {
    const { name, server } = await fresh();
    const session = await target().open(name, "nobody_special");
    const refused = await openStore(session, { create: true, server, now }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "privilege_missing" });
    const { remedy } = refused as { remedy: string };
    expect(remedy).toContain(`grant create on database ${name} to nobody_special`);
    const admin = await target().open(name, "postgres");
    await admin.query(remedy.split(" (or")[0] ?? "");
    expect(await openStore(session, { create: true, server, now })).not.toBeNull();
  });

  test("is refused with the exact GRANT to a role that may not read it, which then works", async () => {
    const { name, session, server } = await fresh();
    await openStore(session, { create: true, server, now });
    const reader = await target().open(name, "nobody_special");
    const grants: string[] = [];
    for (const wanted of ["usage", "select"]) {
      const refused = await openStore(reader, { create: false, server, now }).catch((error: unknown) => error);
      expect(refused).toMatchObject({ code: "privilege_missing" });
      const { remedy } = refused as { remedy: string };
      expect(remedy).toContain(wanted);
      grants.push(remedy);
      await session.query(remedy);
    }
    expect(await openStore(reader, { create: false, server, now })).not.toBeNull();
    expect(grants).toHaveLength(2);
  });

  test("is left alone when a newer IndexPilot wrote it", async () => {
    const { session, server } = await fresh();
    await openStore(session, { create: true, server, now });
    await session.query("insert into indexpilot.migration (name, sha256) values ('0999_future', 'x')");
    await expect(openStore(session, { create: true, server, now })).rejects.toMatchObject({ code: "store_newer" });
    await expect(openStore(session, { create: false, server, now })).rejects.toMatchObject({ code: "store_newer" });
  });

  test("is left alone when it was made by a different text of the same step", async () => {
    const { session, server } = await fresh();
    await openStore(session, { create: true, server, now });
    await session.query("update indexpilot.migration set sha256 = 'other'");
    await expect(openStore(session, { create: true, server, now })).rejects.toMatchObject({ code: "store_changed" });
  });

  test("is upgraded in order, each step in one transaction: a step that fails leaves nothing of itself", async () => {
    const { session } = await fresh();
    const good = { name: "0001_good", sql: "create table indexpilot.good ()" };
    const bad = { name: "0002_bad", sql: "create table indexpilot.half (); select 1/0" };
    await expect(migrate(session, { create: true, migrations: [good, bad] })).rejects.toMatchObject({ code: "22012" });
    expect(
      await session.query(
        "select relname from pg_class where relnamespace = 'indexpilot'::regnamespace and relkind = 'r' order by 1",
      ),
    ).toEqual([{ relname: "good" }, { relname: "migration" }]);
    await expect(migrate(session, { create: false, migrations: [good, bad] })).rejects.toMatchObject({
      code: "store_older",
    });
    const mended = { name: "0002_bad", sql: "create table indexpilot.half ()" };
    expect(await migrate(session, { create: true, migrations: [good, mended] })).toBe(true);
    expect(await session.query("select name from indexpilot.migration order by 1")).toEqual([
      { name: "0001_good" },
      { name: "0002_bad" },
    ]);
  });

  test("sees what others committed even for a role whose default isolation is serializable", async () => {
    const { name } = await fresh();
    const admin = await target().open(name, "postgres");
    await admin.query(`alter role builder in database "${name}" set default_transaction_isolation = 'serializable'`);
    const sessions = await Promise.all(Array.from({ length: 5 }, () => target().open(name, "builder")));
    const server = await readServerIdentity(admin);
    const stores = await Promise.all(sessions.map((session) => openStore(session, { create: true, server, now })));
    expect(stores.filter((store) => store !== null)).toHaveLength(5);
  });

  describe("is bound to one database", () => {
    const elsewhere = (server: ServerIdentity): [string, ServerIdentity][] => [
      ["another address (a snapshot or a branch)", { ...server, host: "replica-of-prod.example" }],
      ["another port", { ...server, port: 1 }],
    ];

    test("so that a copy at another address is recognised, until a person accepts it, which is recorded", async () => {
      const { session, server } = await fresh();
      await openStore(session, { create: true, server, now });
      for (const [, copy] of elsewhere(server)) {
        await expect(openStore(session, { create: true, server: copy, now })).rejects.toMatchObject({
          code: "installation_copied",
        });
        await expect(openStore(session, { create: false, server: copy, now })).rejects.toMatchObject({
          code: "installation_copied",
        });
        const accepted = await openStore(session, { create: true, server: copy, now, acceptInstallation: true });
        const [decision] = await (accepted as Store).decisions.list();
        expect(decision).toMatchObject({ code: "installation_moved", outcome: "accepted" });
        await expect(openStore(session, { create: true, server, now })).rejects.toMatchObject({
          code: "installation_copied",
        });
        await openStore(session, { create: true, server, now, acceptInstallation: true });
      }
    });

    test("so that a database made from it as a template is recognised", async () => {
      const { name, session, server } = await fresh();
      await openStore(session, { create: true, server, now });
      await session.close();
      const admin = await target().open("postgres", "postgres");
      await admin.query(`create database ${name}_copy template ${name}`);
      const copy = await target().open(`${name}_copy`, "builder");
      await expect(
        openStore(copy, { create: true, server: await readServerIdentity(copy), now }),
      ).rejects.toMatchObject({ code: "installation_copied" });
    });

    test("but a control database steers as many as it likes, each with its own records", async () => {
      const control = await fresh();
      const [first, second] = [await fresh("first"), await fresh("second")];
      const one = await openStore(control.session, { create: true, server: first.server, now });
      const two = await openStore(control.session, { create: true, server: second.server, now });
      await one?.scans.add(new Map([[1, 5]]), now);
      expect(await one?.scans.read()).toEqual(new Map([[1, 5]]));
      expect(await two?.scans.read()).toEqual(new Map());
    });
  });
});

describe("pending migrations", () => {
  test("are those that were not applied, in order", () => {
    const known = ["1", "2", "3"].map((name) => ({ name, sql: `-- ${name}` }));
    const applied = [{ name: "1", sha256: sha256("-- 1") }];
    expect(pendingMigrations(applied, known).map((step) => step.name)).toEqual(["2", "3"]);
  });
});
