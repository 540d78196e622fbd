import pg from "pg";
import Cursor from "pg-cursor";
import QueryStream from "pg-query-stream";
import { describe, expect, test } from "vitest";
import { type GateExperiment, intercept, type Measurement } from "../../src/driver/index.ts";
import { byCustomer, caught, withHook } from "./hooked.ts";
import { canary, withoutTime, withShop } from "./shop.ts";

const shop = withShop();
const { hook, installed, connected } = withHook(shop);

describe("the hook", () => {
  test("lets the treatment arm use the index, and nobody else", async () => {
    for (const [share, used] of [
      [0, false],
      [1, true],
    ] as const) {
      const before = await shop().scans();
      await installed({ experiments: [{ ...canary, share }] });
      await connected(async (client) => {
        for (const values of [[7], [8]]) {
          await client.query(byCustomer, values);
          await client.query({ name: "prepared", text: byCustomer, values });
          await client.query(new Cursor(byCustomer, values)).read(100);
          for await (const row of client.query(new QueryStream(byCustomer, values))) void row;
        }
      });
      hook()?.remove();
      expect((await shop().scans()) - before).toBe(used ? 8 : 0);
    }
  });

  test("measures every statement, and names the arm", async () => {
    const measured: Measurement[] = [];
    await installed({ experiments: [canary], observe: (one) => measured.push(one) });
    await connected(async (client) => {
      await client.query(byCustomer, [7]);
      await client.query(byCustomer.replace("$1", "8"));
      await client.query("select 1; select 2");
      await caught(() => client.query("select 1 / (id - id) from orders"));
      await client.query("select * from orders o full join customers c on c.id = o.customer_id limit 1");
      await new Promise((resolve) => client.query("select name from customers where id < 3", resolve));
      await client.query(new Cursor(byCustomer, [7])).read(100);
      await client.query("select 1");
    });
    expect(measured.map(withoutTime)).toEqual([
      { experiment: "canary", arm: "treatment", gated: true, rows: 10, error: null, read: true },
      { experiment: "canary", arm: "treatment", gated: true, rows: 10, error: null, read: true },
      { experiment: null, arm: null, gated: false, rows: 2, error: null, read: false },
      { experiment: "canary", arm: "treatment", gated: true, rows: null, error: "22012", read: true },
      { experiment: "canary", arm: "treatment", gated: false, rows: 1, error: null, read: true },
      { experiment: null, arm: null, gated: false, rows: 3, error: null, read: true },
      { experiment: "canary", arm: "treatment", gated: true, rows: 10, error: null, read: true },
      { experiment: null, arm: null, gated: false, rows: 1, error: null, read: true },
    ]);
    expect(measured[0]?.fingerprint).toBe(measured[1]?.fingerprint);
    expect(measured.every(({ timeMs }) => timeMs > 0)).toBe(true);
    expect(hook()?.counts()).toMatchObject({ statements: 8, gated: 4, skipped: { "full join": 1 } });
  });

  test("counts the time of a statement from when its connection was free", async () => {
    const measured: Measurement[] = [];
    await installed({ observe: (one) => measured.push(one) });
    await connected((client) => Promise.all([client.query("select pg_sleep(0.3)"), client.query("select 1")]));
    expect(measured[0]?.timeMs).toBeGreaterThan(299);
    expect(measured[1]?.timeMs).toBeLessThan(290);
  });

  test("sends a configuration as it came of which something cannot be read", async () => {
    await installed({ experiments: [canary] });
    const config = {
      text: "select id from orders where customer_id = $1 limit 1",
      values: [7],
      get unreadable(): never {
        throw new Error("not for you");
      },
    };
    await connected(async (client) => expect((await client.query(config)).rowCount).toBe(1));
    expect(hook()?.counts()).toMatchObject({ failures: 1, gated: 0 });
  });

  test("leaves a query object alone whose methods cannot be replaced", async () => {
    const measured: Measurement[] = [];
    await installed({ experiments: [canary], observe: (one) => measured.push(one) });
    const cursor = new Cursor(byCustomer, [7]);
    Object.defineProperty(cursor, "handleReadyForQuery", {
      value: Reflect.get(cursor, "handleReadyForQuery"),
    });
    await connected(async (client) => {
      expect(await client.query(cursor).read(100)).toHaveLength(10);
      for (let i = 0; i < 2; i += 1) await client.query(byCustomer, [7]);
    });
    for (const method of ["submit", "handleDataRow", "handleError"]) expect(Object.hasOwn(cursor, method)).toBe(false);
    expect(hook()?.counts()).toMatchObject({ failures: 1, statements: 3 });
    // Not counted as still running, which would make one transaction of all that follows.
    expect(measured.map(({ transaction }) => transaction)).toEqual([2, 3]);
  });

  const wrong: GateExperiment = { ...canary, column: "gone" };

  type Query = (this: unknown, config: unknown, values?: unknown, callback?: unknown) => unknown;
  const prototype = pg.Client.prototype as unknown as { query: Query };
  const { query: own } = prototype;
  const layers: Record<string, Query> = {
    "knows promises alone": function (config, values) {
      return own.call(this, config, values);
    },
    "promises nothing and calls back": async function (config, values, callback) {
      await Promise.resolve();
      return own.call(this, config, values, callback);
    },
    "promises and calls back": function (config, values, callback) {
      const promise = own.call(this, config, values) as Promise<unknown>;
      const tell = callback as (error: unknown, result?: unknown) => void;
      promise.then(
        (result) => setImmediate(() => tell(null, result)),
        (error: unknown) => tell(error),
      );
      return promise;
    },
  };

  test.each(Object.entries(layers))("measures once through a layer below that %s", async (_, layer) => {
    const sent: unknown[] = [];
    prototype.query = function below(this: unknown, config, ...given) {
      sent.push(config);
      if (config === "select 0") throw new RangeError("not this one");
      return layer.call(this, config, ...given);
    };
    try {
      const measured: Measurement[] = [];
      await installed({ experiments: [wrong], observe: (one) => measured.push(one) });
      await connected(async (client) => {
        expect((await client.query(byCustomer, [7])).rowCount).toBe(10);
        expect((await client.query(byCustomer, [7])).rowCount).toBe(10);
        expect(await caught(() => client.query("select nope from orders"))).toMatchObject({ code: "42703" });
        expect(() => void client.query("select 0")).toThrow(RangeError);
        expect((await client.query("select 1")).rowCount).toBe(1);
      });
      expect(measured.map(({ rows, error }) => error ?? rows)).toEqual([10, 10, "42703", "client", 1]);
      // What the server refused is sent once with the gate and once without; what it took without is never given the gate again.
      const nope = "select nope from orders";
      const gated = expect.stringContaining("gone") as string;
      expect(sent).toEqual([gated, byCustomer, byCustomer, gated, nope, "select 0", "select 1"]);
      hook()?.remove();
    } finally {
      prototype.query = own;
    }
  });

  test("keeps one arm through a transaction, and draws the next anew", async () => {
    const measured: Measurement[] = [];
    await installed({ experiments: [{ ...canary, share: 0.5 }], observe: (one) => measured.push(one) });
    const arms: string[] = [];
    await connected(async (client) => {
      for (let i = 0; i < 40; i += 1) {
        measured.length = 0;
        await client.query("begin");
        for (let j = 0; j < 3; j += 1) await client.query(byCustomer, [j]);
        await client.query("commit");
        const used = new Set(measured.flatMap(({ arm }) => arm ?? []));
        expect(used.size).toBe(1);
        arms.push(...used);
      }
    });
    expect(new Set(arms)).toEqual(new Set(["treatment", "control"]));
  });

  test("draws all statements of one request together, on whatever connection", async () => {
    const measured: Measurement[] = [];
    const interception = await installed({
      experiments: [{ ...canary, share: 0.5 }],
      observe: (one) => measured.push(one),
    });
    const pool = new pg.Pool({ connectionString: shop().url, max: 3 });
    const arms = new Set<string>();
    for (let user = 0; user < 20; user += 1) {
      measured.length = 0;
      await interception.as(`user ${user}`, () => Promise.all([1, 2, 3].map((id) => pool.query(byCustomer, [id]))));
      const used = new Set(measured.flatMap(({ arm }) => arm ?? []));
      expect(used.size).toBe(1);
      for (const arm of used) arms.add(arm);
    }
    await pool.end();
    expect(arms.size).toBe(2);
  });

  test("sends the original where the server refuses the gate, and the application never knows", async () => {
    await installed({ experiments: [wrong] });
    await connected(async (client) => {
      for (let i = 0; i < 2; i += 1) {
        expect((await client.query(byCustomer, [7])).rowCount).toBe(10);
        const rows = await new Promise((resolve) =>
          client.query({ name: "x", text: byCustomer, values: [8] }, (error, result) =>
            resolve(error ?? result.rowCount),
          ),
        );
        expect(rows).toBe(10);
      }
      expect(await caught(() => client.query("select nope from orders"))).toMatchObject({
        code: "42703",
        message: expect.stringContaining("nope"),
      });
    });
    expect(hook()?.counts()).toMatchObject({ gated: 0, failures: 0, skipped: { "refused by the server": 5 } });
  });

  test("does not give the gate again to what the server refused in a transaction, which has failed by it", async () => {
    await installed({ experiments: [wrong] });
    await connected(async (client) => {
      await client.query("begin");
      expect(await caught(() => client.query(byCustomer, [7]))).toMatchObject({ code: "42703" });
      await client.query("rollback");
      await client.query("begin");
      expect((await client.query(byCustomer, [7])).rowCount).toBe(10);
      await client.query("commit");
    });
    expect(hook()?.counts()).toMatchObject({ gated: 1, failures: 0, skipped: { "refused by the server": 1 } });
  });

  test("draws nothing where the driver does not tell transactions apart", async () => {
    await installed();
    await connected(async (client) => {
      Object.assign(client, { getTransactionStatus: undefined });
      expect((await client.query("select count(*)::int as n from public.orders")).rows).toEqual([{ n: 5000 }]);
    });
    expect(hook()?.counts()).toMatchObject({ statements: 1, gated: 0, skipped: { "transactions unknown": 1 } });
  });

  test.each([
    ["create temporary table orders (id int)"],
    ["create table pg_temp.orders (id int)"],
    ["create schema if not exists other; create table if not exists other.orders (id int); set schema 'other'"],
  ])("leaves bare names alone on a connection that changed what they mean: %s", async (change) => {
    await installed();
    await connected(async (client) => {
      await client.query(change);
      expect((await client.query("select * from orders")).rows).toEqual([]);
      expect((await client.query("select count(*)::int as n from public.orders")).rows).toEqual([{ n: 5000 }]);
    });
    expect(hook()?.counts()).toMatchObject({ gated: 1, skipped: { "search path unclear": 1 } });
  });

  test("does nothing before its parser is there, and nothing after it was removed", async () => {
    const original = Object.getOwnPropertyDescriptor(pg.Client.prototype, "query");
    await connected(async (client) => {
      const interception = intercept(pg, { experiments: [canary] });
      expect((await client.query(byCustomer, [7])).rowCount).toBe(10);
      await interception.ready;
      expect(interception.counts()).toMatchObject({ statements: 0, unread: 1 });
      await client.query(byCustomer, [7]);
      interception.remove();
      await client.query(byCustomer, [7]);
      expect(interception.counts()).toMatchObject({ statements: 1, gated: 1, unread: 1 });
    });
    expect(Object.getOwnPropertyDescriptor(pg.Client.prototype, "query")).toEqual(original);
  });

  test("an observer that throws is the hook's trouble, not the application's", async () => {
    await installed({
      observe: () => {
        throw new Error("full");
      },
    });
    await connected(async (client) => {
      expect((await client.query(byCustomer, [7])).rowCount).toBe(10);
    });
    expect(hook()?.counts().failures).toBe(1);
  });

  test("keeps parameters only if asked to, and few", async () => {
    await installed({ samples: { perFingerprint: 3, fingerprints: 1 } });
    await connected(async (client) => {
      for (let i = 0; i < 10; i += 1) await client.query(byCustomer, [i]);
      await client.query("select $1::text", ["other"]);
    });
    const [[, sets] = []] = [...(hook()?.samples() ?? [])];
    expect(hook()?.samples().size).toBe(1);
    expect(sets).toHaveLength(3);
    hook()?.remove();
    await installed({});
    await connected((client) => client.query(byCustomer, [7]));
    expect(hook()?.samples().size).toBe(0);
  });

  test.each([
    [{ ...canary, share: 1.5 }, "share"],
    [{ ...canary, number: 0 }, "number"],
  ])("refuses an experiment it cannot run", (experiment, part) => {
    expect(() => intercept(pg, { experiments: [experiment] })).toThrow(
      expect.objectContaining({ code: "experiment_invalid", message: expect.stringContaining(part) }),
    );
    expect(() => intercept({} as typeof pg)).toThrow(expect.objectContaining({ code: "driver_unknown" }));
  });
});
