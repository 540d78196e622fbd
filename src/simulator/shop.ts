import { type EmbeddedServer, startEmbedded } from "../embedded/index.ts";
import { type Emit, withSession } from "../pilot/index.ts";
import { openSession, resolveConnection } from "../postgres/index.ts";
import type { Clock } from "../runtime/index.ts";
import { createDemoDatabase, type DemoDatabase } from "./database.ts";
import { demoSettings } from "./settings.ts";

export interface ShopOptions {
  readonly major: number;
  readonly seed: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly emit: Emit;
}

export interface Shop {
  readonly server: EmbeddedServer;
  readonly database: DemoDatabase;
  /** As the observing and as the building role. */
  readonly url: string;
  readonly buildUrl: string;
  readonly applicationUrl: string;
}

/** Runs with an embedded server that has the demo's database. The server and its files are gone afterwards. */
export const withShop = async (options: ShopOptions, work: (shop: Shop) => Promise<void>): Promise<void> => {
  const { major, seed, clock, signal, emit } = options;
  emit({ kind: "step", text: `starting an embedded PostgreSQL ${String(major)}` });
  const server = await startEmbedded({ major, settings: demoSettings });
  try {
    signal.throwIfAborted();
    emit({ kind: "step", text: "creating an online shop: customers, products, orders, inventory, events" });
    const database = await withSession(openSession(resolveConnection(server.url(), {}), "store"), (superuser) =>
      createDemoDatabase(superuser, {
        seed,
        clock,
        onProgress: (text) => emit({ kind: "progress", share: null, text }),
      }),
    );
    emit({
      kind: "note",
      text: `${database.rows.toLocaleString("en")} rows in ${(database.loadMs / 1000).toFixed(1)} s, primary keys and no other index`,
    });
    signal.throwIfAborted();
    await work({
      server,
      database,
      url: server.url(database.database, database.access.observe),
      buildUrl: server.url(database.database, database.access.build),
      applicationUrl: server.url(database.database, database.application),
    });
  } finally {
    await server.stop();
  }
};
