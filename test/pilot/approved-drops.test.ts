import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defaults } from "../../src/config/index.ts";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { findDrop, type PilotContext, rollOut } from "../../src/pilot/index.ts";
import { rationaleOf } from "../../src/pilot/drop.ts";
import { openSession, readServerIdentity, resolveConnection, type Session } from "../../src/postgres/index.ts";
import { advance, proposeDrop } from "../../src/rollout/index.ts";
import { systemClock } from "../../src/runtime/index.ts";
import { openStore, type Store } from "../../src/store/index.ts";
import { startStandby } from "../surfaces/standby.ts";

describe("an approved drop beside a standby", { timeout: 120_000 }, () => {
  let server: EmbeddedServer;
  let standby: Awaited<ReturnType<typeof startStandby>>;
  let session: Session;
  let store: Store;
  let pilot: PilotContext;

  beforeAll(async () => {
    server = await startEmbedded({ major: 18 });
    const target = resolveConnection(server.url(), {});
    session = await openSession(target, "build");
    await session.script(`create extension pg_stat_statements; create table t (id int primary key, a int);
      insert into t select n, n from generate_series(1, 1000) n; create index spare on t (a); analyze t`);
    for (let n = 0; n < 5; n += 1) await session.query("select a from t where id = $1", [n]);
    const { signal } = new AbortController();
    const settings = { ...defaults, mode: "approve" as const };
    pilot = { observe: target, build: target, settings, clock: systemClock, signal, emit: () => undefined };
    const inquiry = await findDrop(pilot, { index: "spare", observeMs: null, seed: 1 });
    expect(inquiry.objection).toBeNull();
    const made = await openStore(session, {
      create: true,
      server: await readServerIdentity(session),
      now: systemClock.now(),
    });
    if (made === null) throw new Error("the store was not made");
    store = made;
    const { standing } = inquiry;
    const now = systemClock.now();
    const proposed = proposeDrop({
      id: "00000000-0000-4000-8000-000000000001",
      standing,
      rationale: rationaleOf(inquiry, "a test"),
      now,
    });
    await store.deployments.insert(proposed, { event: "propose", actor: "ann" });
    await advance({ store, clock: systemClock }, proposed, "approve", { actor: "ann" });
    standby = await startStandby(server);
  });
  afterAll(async () => {
    await standby.stop();
    await session.close();
    await server.stop();
  });

  const carryOut = async (replicas: readonly string[]) => {
    const context = { ...pilot, replicas: replicas.map((url) => resolveConnection(url, {})) };
    const { drops } = await rollOut(context, () => true);
    return {
      outcome: drops[0]?.outcome,
      state: (await store.deployments.list()).map((one) => one.state),
      told: (await store.decisions.list()).map(({ code }) => code),
    };
  };

  test("stays approved while nobody knows what the standby uses, and is carried out once it is named", async () => {
    const refused = (code: string) => ({ kind: "refused", code, retryAt: expect.any(Date) as Date });
    expect(await carryOut([])).toMatchObject({
      outcome: refused("replicas_unknown"),
      state: ["approved"],
      told: ["replicas_unknown"],
    });
    expect(await carryOut(["postgres://postgres@127.0.0.1:1/postgres"])).toMatchObject({
      outcome: refused("replica_unreachable"),
      state: ["approved"],
    });
    const replica = server.url().replace(`:${String(server.port)}/`, `:${String(standby.port)}/`);
    expect(await carryOut([replica])).toMatchObject({ outcome: { kind: "dropped" }, state: ["done"] });
  });
});
