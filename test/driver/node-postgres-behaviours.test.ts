import { AsyncLocalStorage } from "node:async_hooks";
import pg from "pg";
import Cursor from "pg-cursor";
import QueryStream from "pg-query-stream";
import { describe, expect, test } from "vitest";
import { byCustomer, caught, seen, withHook } from "./hooked.ts";
import { withShop } from "./shop.ts";

const shop = withShop();
const { hook, installed, connected } = withHook(shop);

/** Does that to the client's backend once it sleeps: what comes before the statement does would be lost. */
const onceAsleep = async (client: pg.Client, act?: "pg_cancel_backend" | "pg_terminate_backend"): Promise<void> => {
  const pid = String((client as unknown as { processID: number }).processID);
  await shop().admin.query(
    `do $$ begin while not exists (select from pg_stat_activity where pid = ${pid} and state = 'active' and query like '%pg_sleep%')
     loop perform pg_stat_clear_snapshot(); end loop; ${act === undefined ? "" : `perform ${act}(${pid});`} end $$`,
  );
};

const shape = (result: pg.QueryResult): object => ({
  command: result.command,
  rowCount: result.rowCount,
  rows: result.rows as unknown[],
  fields: result.fields.map(({ name, dataTypeID, format }) => [name, dataTypeID, format]),
  class: result.constructor.name,
});

/** What node-postgres promises, each as one run whose outcome is compared with and without the hook. */
const behaviours: Record<string, (client: pg.Client) => Promise<unknown>> = {
  "a result of a text with values": async (client) => shape(await client.query(byCustomer, [7])),
  "a result of a text without values": async (client) =>
    shape(await client.query("select count(*), max(created_at) from orders where customer_id = 7")),
  "several results of several statements": async (client) =>
    (
      (await client.query(
        "select 1 as a; select count(*) from orders; set time zone 'UTC'",
      )) as unknown as pg.QueryResult[]
    ).map(shape),
  "an empty query": async (client) => shape(await client.query("")),
  "rows as arrays": async (client) => shape(await client.query({ text: byCustomer, values: [7], rowMode: "array" })),
  "types of one query": async (client) =>
    shape(
      await client.query({
        text: byCustomer,
        values: [7],
        types: {
          getTypeParser: (oid: number) => (value: string) => `${oid}:${value}`,
        },
      }),
    ),
  "types of the client": async (client) => {
    client.setTypeParser(1700, (value) => `numeric ${value}`);
    return shape(await client.query(byCustomer, [7]));
  },
  "binary results": async (client) =>
    shape(
      await client.query({
        text: "select id from orders where customer_id = $1",
        values: [7],
        binary: true,
      } as pg.QueryConfig),
    ),
  "a prepared statement, three times": async (client) => {
    const config = { name: "by-customer", text: byCustomer };
    const results: object[] = [];
    for (const value of [7, 8, 7]) results.push(shape(await client.query({ ...config, values: [value] })));
    return results;
  },
  "one name with two texts is refused": async (client) => {
    await client.query({ name: "n", text: "select 1 from orders" });
    const refused = await caught(() => client.query({ name: "n", text: "select 2 from orders" }));
    // The name it is refused under carries the mark of its arm.
    return JSON.stringify(refused).replace(/'n~\w+'/, "'n'");
  },
  "a callback": (client) =>
    new Promise((resolve) => {
      const returned: unknown = client.query(byCustomer, [7], function answer(this: unknown, error, result) {
        resolve({
          error,
          result: shape(result),
          this: (this as object).constructor.name,
          arguments: arguments.length,
          returned: returned === undefined,
        });
      });
    }),
  "a callback in place of the values": (client) =>
    new Promise((resolve) => {
      client.query("select count(*) from orders", (error, result) => resolve({ error, result: shape(result) }));
    }),
  "a callback in the configuration": (client) =>
    new Promise((resolve) => {
      const config = {
        text: byCustomer,
        values: [7],
        callback: (error: unknown, result: pg.QueryResult) =>
          resolve({ error, result: shape(result), own: Object.keys(config) }),
      };
      void client.query(config as unknown as pg.QueryConfig);
    }),
  "an error in a callback": (client) =>
    new Promise((resolve) => {
      client.query("select nothing from orders", function answer(error: Error) {
        resolve({ ...seen(error), arguments: arguments.length });
      });
    }),
  "a configuration is not changed": async (client) => {
    const config = Object.freeze({ text: byCustomer, values: Object.freeze([7]) as unknown as unknown[] });
    return shape(await client.query(config));
  },
  "a configuration with accessors": async (client) => {
    class Template {
      get text(): string {
        return byCustomer;
      }
      readonly values = [7];
    }
    return shape(await client.query(new Template() as pg.QueryConfig));
  },
  "errors of the server": async (client) => [
    await caught(() => client.query("select nope from orders")),
    await caught(() => client.query("select 1 / (customer_id - customer_id) from orders")),
    await caught(() => client.query("selekt orders")),
    await caught(() => client.query("select * from orders where id = $1", ["x"])),
    await caught(() => client.query("insert into orders values (1, 1, 'new', 1, now())")),
    shape(await client.query("select 1 as one")),
  ],
  "errors within a transaction, each with its position, detail and context": async (client) => {
    const errors: object[] = [];
    for (const text of [
      "select id from orders where customer_id = 7 order by nope",
      "select '😀', id from orders where customer_id = 7 group by id having nope > 1",
      "select (select nope from orders o where o.id = orders.id) from orders where customer_id = 7",
      "insert into orders select * from orders where customer_id = 7",
      "do $$ begin perform 1 / (customer_id - 7) from orders where customer_id = 7; end $$",
      "update orders set status = null where customer_id = 7",
    ]) {
      await client.query("begin");
      errors.push(await caught(() => client.query(text)));
      await client.query("rollback");
      await client.query("begin");
      errors.push(
        await new Promise((resolve) => client.query(text, (error) => resolve(seen(error)))),
        await caught(() => client.query("select 1 from orders")),
      );
      await client.query("rollback");
    }
    return errors;
  },
  "a transaction that fails stays failed": async (client) => {
    const trace: object[] = [shape(await client.query("begin"))];
    trace.push(
      shape(
        await client.query("update orders set status = 'new' where customer_id = 7 and status = 'new' returning id"),
      ),
    );
    trace.push(await caught(() => client.query("select nope from orders")));
    trace.push(await caught(() => client.query("select 1 from orders")));
    trace.push(shape(await client.query("rollback")), { status: client.getTransactionStatus() });
    return trace;
  },
  "wrong uses": async (client) => [
    await caught(async () => client.query(null as unknown as string)),
    await caught(async () => client.query("select 1 from orders", [1], "no callback" as never)),
    await caught(() => client.query({} as pg.QueryConfig)),
    await caught(() => client.query("select 1 from orders", "no array" as never)),
  ],
  "events of a query object": (client) =>
    new Promise((resolve) => {
      const events: unknown[] = [];
      const query = client.query(new pg.Query(byCustomer, [7]));
      query.on("row", (row: object) => events.push(row));
      query.on("end", (result) =>
        resolve([events, shape(result), (query as unknown as { text: string }).text, Object.keys(query)]),
      );
    }),
  "an error of a query object": (client) =>
    new Promise((resolve) => {
      const query = client.query(new pg.Query("select nope from orders"));
      query.on("error", (error: Error) => resolve([seen(error), query.listenerCount("error")]));
    }),
  "a query object with a callback": (client) =>
    new Promise((resolve) => {
      const Query = pg.Query as unknown as new (
        text: string,
        values: unknown[],
        done: (error: unknown, result: pg.QueryResult) => void,
      ) => pg.Query;
      client.query(new Query(byCustomer, [7], (error, result) => resolve([error, shape(result)])));
    }),
  "a cursor, read in parts": async (client) => {
    const cursor = client.query(new Cursor<{ id: number }>(byCustomer, [7]));
    const parts = [await cursor.read(4), await cursor.read(4), await cursor.read(4)];
    await cursor.close();
    return [parts, shape(await client.query("select 2 as two"))];
  },
  "a cursor that is closed early, and one that fails": async (client) => {
    const cursor = client.query(new Cursor("select * from orders", []));
    const first = await cursor.read(1);
    await cursor.close();
    const bad = client.query(new Cursor("select nope from orders", []));
    return [first, await caught(() => bad.read(1)), shape(await client.query("select 2 as two"))];
  },
  "a stream": async (client) => {
    const rows: unknown[] = [];
    for await (const row of client.query(new QueryStream(byCustomer, [7], { batchSize: 3 }))) rows.push(row);
    return rows;
  },
  "a stream that fails": (client) =>
    caught(async () => {
      for await (const row of client.query(new QueryStream("select nope from orders"))) void row;
    }),
  "statements sent without waiting come back in order, then drain": async (client) => {
    const order: unknown[] = [];
    const drained = new Promise<void>((resolve) => {
      client.once("drain", () => {
        order.push("drain");
        resolve();
      });
    });
    const all = [3, 1, 2].map(async (id) =>
      order.push((await client.query("select id from orders where id = $1", [id])).rows),
    );
    await Promise.all([...all, drained]);
    return order;
  },
  "a timeout of one query": async (client) => {
    const slow = await caught(() =>
      client.query({ text: "select pg_sleep(60) from orders where id = 1", query_timeout: 50 } as pg.QueryConfig),
    );
    await onceAsleep(client, "pg_cancel_backend");
    return slow;
  },
  "a query object with rows as arrays, types and a name": async (client) => {
    const Query = pg.Query as unknown as new (config: object) => pg.Query;
    const asked = (config: object): Promise<unknown> =>
      new Promise((resolve) => {
        const query = new Query({ text: byCustomer, values: [7], ...config });
        const same = client.query(query) === query;
        query.on("end", (result) => resolve([same, shape(result)]));
      });
    const types = { getTypeParser: (oid: number) => (value: string) => `${oid}:${value}` };
    return [
      await asked({ rowMode: "array" }),
      await asked({ types }),
      await asked({ name: "q" }),
      await asked({ name: "q" }),
    ];
  },
  "an error of a query object within a transaction": async (client) => {
    await client.query("begin");
    const error = await new Promise((resolve) => {
      const query = client.query(new pg.Query("select id from orders where customer_id = 7 order by nope"));
      query.on("error", (one: Error) => resolve(seen(one)));
    });
    await client.query("rollback");
    return error;
  },
  "a query object of another kind": (client) =>
    new Promise((resolve) => {
      const calls: unknown[] = [];
      const submittable = {
        text: "select id from orders where customer_id = 7 order by id",
        submit(connection: { query: (text: string) => void }) {
          connection.query(this.text);
        },
        handleRowDescription: ({ fields }: { fields: { name: string }[] }) =>
          calls.push(fields.map(({ name }) => name)),
        handleDataRow: ({ fields }: { fields: unknown[] }) => calls.push(fields.map(String)),
        handleCommandComplete: ({ text }: { text: string }) => calls.push(text),
        handleError: (error: Error) => resolve(seen(error)),
        handleReadyForQuery: () => resolve([calls, Object.keys(submittable)]),
      };
      client.query(submittable as unknown as pg.Submittable);
    }),
  "a cursor with callbacks, events and rows as arrays": async (client) => {
    const events: unknown[] = [];
    const cursor = client.query(new Cursor(byCustomer, [7], { rowMode: "array" } as never));
    for (const name of ["row", "end", "error"]) cursor.on(name, () => events.push(name));
    const read = await new Promise((resolve) =>
      cursor.read(20, (error, rows, result) => resolve([error, rows, shape(result as pg.QueryResult)])),
    );
    const closed = await new Promise((resolve) => cursor.close((...given) => resolve(given)));
    return [read, closed, events, shape(await client.query("select 2 as two"))];
  },
  "a stream that is left early, and its events": async (client) => {
    const events: string[] = [];
    const stream = client.query(
      new QueryStream("select id from orders order by id", [], { batchSize: 2, rowMode: "array" }),
    );
    for (const name of ["end", "error", "close"]) stream.on(name, () => events.push(name));
    const rows: unknown[] = [];
    for await (const row of stream) if (rows.push(row) === 3) break;
    return [rows, events, stream.destroyed, shape(await client.query("select 2 as two"))];
  },
  "a query object that is cancelled while it runs, and one that waits": async (client) => {
    const running = new pg.Query("select pg_sleep(60) from orders where id = 1");
    const waiting = new pg.Query("select count(*) from orders");
    const events: string[] = [];
    waiting.on("end", () => events.push("end")).on("error", () => events.push("error"));
    const error = new Promise((resolve) => running.on("error", (one: Error) => resolve(seen(one))));
    client.query(running);
    client.query(waiting);
    await onceAsleep(client);
    for (const query of [waiting, running]) {
      (new pg.Client({ connectionString: shop().url }) as unknown as { cancel: (...args: unknown[]) => void }).cancel(
        client,
        query,
      );
    }
    return [await error, shape(await client.query("select 2 as two")), events];
  },
  "limits that the server sets": async (client) => {
    await client.query("set statement_timeout = 20");
    const late = await caught(() => client.query("select pg_sleep(60) from orders where customer_id = 7"));
    await client.query("set statement_timeout = 0");
    return [late, shape(await client.query("select 2 as two"))];
  },
  "the caller's context, in callbacks and after waiting": async (client) => {
    const context = new AsyncLocalStorage<string>();
    const byCallback = new Promise((resolve) =>
      context.run("callback", () => client.query(byCustomer, [7], () => resolve(context.getStore()))),
    );
    const byPromise = context.run("promise", async () => {
      await client.query(byCustomer, [7]);
      return context.getStore();
    });
    return [await byCallback, await byPromise];
  },
  "statements after the end": async (client) => {
    await client.end();
    return [
      await caught(() => client.query(byCustomer, [7])),
      await new Promise((resolve) => client.query(byCustomer, [7], (error) => resolve(seen(error)))),
    ];
  },
  "notices and notifications": async (client) => {
    const heard: unknown[] = [];
    client.on("notice", ({ message }) => heard.push(message));
    const notified = new Promise((resolve) => {
      client.on("notification", resolve);
    });
    await client.query("listen orders");
    await client.query("do $$ begin raise notice 'orders'; end $$");
    await client.query("notify orders, 'x'");
    const { channel, payload } = (await notified) as pg.Notification;
    return [heard, channel, payload];
  },
};

describe("node-postgres does the same with the hook and without it:", () => {
  test.each(Object.entries(behaviours))("%s", async (_, behaviour) => {
    const without = await connected(behaviour);
    await installed();
    const withHook = await connected(behaviour);
    expect(withHook).toEqual(without);
    expect(hook()?.counts().failures).toBe(0);
  });

  test("pipelined statements", async () => {
    const behaviour = (client: pg.Client): Promise<unknown> =>
      Promise.all([
        caught(async () => shape(await client.query(byCustomer, [7]))),
        caught(() => client.query("select nope from orders")),
        caught(async () => shape(await client.query({ name: "p", text: byCustomer, values: [8] }))),
        caught(async () => shape(await client.query({ name: "p", text: byCustomer, values: [9] }))),
      ]);
    const pipeline = { pipeline: true } as pg.ClientConfig;
    const without = await connected(behaviour, pipeline);
    await installed();
    expect(await connected(behaviour, pipeline)).toEqual(without);
    expect(hook()?.counts()).toMatchObject({ gated: 4, failures: 0 });
  });

  test("a backend that is cancelled, and one that is ended", async () => {
    const behaviour = async (client: pg.Client): Promise<unknown> => {
      const ends = new Promise((resolve) => {
        // Whether a connection whose server is gone was closed or reset, is by the moment.
        client.on("error", () => resolve("no connection any more"));
      });
      const during = async (act: Parameters<typeof onceAsleep>[1]): Promise<object> => {
        const running = caught(() => client.query("select pg_sleep(60) from orders where id = 1"));
        await onceAsleep(client, act);
        return running;
      };
      return [await during("pg_cancel_backend"), await during("pg_terminate_backend"), await ends];
    };
    const without = await connected(behaviour);
    await installed();
    expect(await connected(behaviour)).toEqual(without);
  });

  test("promises of the application's own kind", async () => {
    class Own<T> extends Promise<T> {}
    const kinds = async (client: pg.Client): Promise<unknown> => {
      const asked: Promise<pg.QueryResult> = client.query(byCustomer, [7]);
      return [asked instanceof Own, shape(await asked)];
    };
    const config = { Promise: Own } as pg.ClientConfig;
    const without = await connected(kinds, config);
    await installed();
    expect(await connected(kinds, config)).toEqual(without);
  });

  test("a limit of the client on each query", async () => {
    const behaviour = async (client: pg.Client): Promise<unknown> => {
      const late = await caught(() => client.query("select pg_sleep(60) from orders where customer_id = 7"));
      await onceAsleep(client, "pg_cancel_backend");
      return late;
    };
    const config = { query_timeout: 50 };
    const without = await connected(behaviour, config);
    await installed();
    expect(await connected(behaviour, config)).toEqual(without);
  });

  test("events of a pool, and its callbacks", async () => {
    const behaviour = async (): Promise<unknown> => {
      const events: string[] = [];
      const pool = new pg.Pool({ connectionString: shop().url, max: 1 });
      for (const name of ["connect", "acquire", "release", "remove", "error"] as const)
        pool.on(name as "connect", () => events.push(name));
      const given = await new Promise<pg.PoolClient>((resolve, reject) =>
        pool.connect((error, client) =>
          client === undefined ? reject(error ?? new Error("no client")) : resolve(client),
        ),
      );
      const rows = await new Promise((resolve) =>
        given.query(byCustomer, [7], (error, result) => resolve([error, shape(result)])),
      );
      given.release();
      const lost = new Promise((resolve) => {
        pool.once("error", (error, client) => resolve([error.message, client === given]));
      });
      const { processID } = given as unknown as { processID: number };
      await shop().admin.query("select pg_terminate_backend($1)", [processID]);
      const error = await lost;
      const again = shape(await pool.query(byCustomer, [7]));
      const removed = new Promise((resolve) => pool.once("remove", resolve));
      await Promise.all([pool.end(), removed]);
      return [rows, error, again, events];
    };
    const without = await behaviour();
    await installed();
    expect(await behaviour()).toEqual(without);
  });

  test("an error nobody handles stays unhandled", async () => {
    await installed();
    const previous = process.listeners("unhandledRejection");
    process.removeAllListeners("unhandledRejection");
    const unhandled = new Promise((resolve) => {
      process.once("unhandledRejection", (reason) => resolve(seen(reason)));
    });
    await connected(async (client) => {
      void client.query("select nope from orders");
      await client.query("select 1");
      expect(await unhandled).toMatchObject({ code: "42703" });
    });
    for (const listener of previous) process.on("unhandledRejection", listener);
  });

  test("an error's stack leads to the line that asked", async () => {
    await installed();
    const askForNothing = async (client: pg.Client): Promise<unknown> => await client.query("select nope from orders");
    const error: unknown = await connected((client) => askForNothing(client).catch((reason: unknown) => reason));
    expect((error as Error).stack).toContain("askForNothing");
  });

  test("a pool, its own queries and transactions", async () => {
    const behaviour = async (): Promise<unknown> => {
      const pool = new pg.Pool({ connectionString: shop().url, max: 2 });
      try {
        const client = await pool.connect();
        const trace: unknown[] = [
          shape(await pool.query(byCustomer, [7])),
          await caught(() => pool.query("select nope from orders")),
        ];
        try {
          await client.query("begin");
          trace.push(shape(await client.query("delete from orders where customer_id = $1 returning id", [7])));
          await client.query("rollback");
        } finally {
          client.release();
        }
        trace.push(
          await new Promise((resolve) =>
            pool.query(byCustomer, [7], (error, result) => resolve([error, shape(result)])),
          ),
        );
        return [trace, pool.totalCount, pool.idleCount];
      } finally {
        await pool.end();
      }
    };
    const without = await behaviour();
    await installed();
    expect(await behaviour()).toEqual(without);
    expect(hook()?.counts()).toMatchObject({ failures: 0 });
  });
});
