import pg from "pg";
import { afterEach } from "vitest";
import { intercept, type Interception, type InterceptOptions } from "../../src/driver/index.ts";
import { canary, type Shop } from "./shop.ts";

/** node-postgres with the hook, which goes out of it after each test. */
export const withHook = (shop: () => Shop) => {
  let hook: Interception | undefined;
  afterEach(() => {
    hook?.remove();
    hook = undefined;
  });
  return {
    /** The one that is installed. */
    hook: (): Interception | undefined => hook,
    installed: async (options: InterceptOptions = { experiments: [canary] }): Promise<Interception> => {
      hook = intercept(pg, options);
      await hook.ready;
      return hook;
    },
    connected: async <T>(work: (client: pg.Client) => Promise<T>, config: pg.ClientConfig = {}): Promise<T> => {
      const client = new pg.Client({ connectionString: shop().url, ...config });
      await client.connect();
      try {
        return await work(client);
      } finally {
        await client.end();
      }
    },
  };
};

/**
 * What an application can see of an error: position, detail, constraint and whatever else the server says are properties of it. Not its length on the wire, in
 * which the digits of the position count that the server gave.
 */
export const seen = (error: unknown): object => {
  const { message, name, constructor } = error as Error;
  return { ...(error as object), message, name, length: undefined, class: constructor.name };
};

export const caught = async (work: () => Promise<unknown>): Promise<object> => {
  try {
    return { result: await work() };
  } catch (error) {
    return seen(error);
  }
};

export const byCustomer = "select id, total, created_at from orders where customer_id = $1 order by id";
