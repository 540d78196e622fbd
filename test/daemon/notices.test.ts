import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import type { LogEntry } from "../../src/daemon/index.ts";
import { tellOnce } from "../../src/daemon/notices.ts";
import { openWebhook, sign, type Webhook } from "../../src/daemon/webhook.ts";
import { advance } from "../../src/rollout/index.ts";
import { systemClock } from "../../src/runtime/index.ts";
import type { Store } from "../../src/store/index.ts";
import { on, openContext } from "../rollout/fixtures/rollout.ts";
import { withTarget } from "../rollout/fixtures/target.ts";
import { openWired } from "../pilot/wired.ts";

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Receiver {
  readonly url: string;
  readonly received: Received[];
  /** What it answers next; null: nothing at all. */
  status: number | null;
  close(): Promise<void>;
}

const openReceiver = async (): Promise<Receiver> => {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => (body += text));
    request.on("end", () => {
      received.push({ headers: request.headers, body });
      if (receiver.status === null) return;
      response.writeHead(receiver.status, { location: "http://127.0.0.1:1/" }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.address() as AddressInfo;
  const receiver: Receiver = {
    url: `http://127.0.0.1:${String(port)}/hook?token=hush`,
    received,
    status: 204,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return receiver;
};

test("a signature is the one that standardwebhooks.com gives as its example", () => {
  expect(
    sign(
      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
      "msg_p5jXN8AQM9LWM0D4loKWxJek",
      1_614_265_330,
      '{"test": 2432232314}',
    ),
  ).toBe("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
});

describe("what was recorded", () => {
  const target = withTarget(18);
  const receivers: Receiver[] = [];
  afterEach(async () => {
    for (const receiver of receivers.splice(0)) await receiver.close();
  });

  const open = async () => {
    const receiver = await openReceiver();
    receivers.push(receiver);
    const shop = await openWired(target());
    const log: LogEntry[] = [];
    const webhook = openWebhook({ url: receiver.url, secret: "whsec_c2VjcmV0", timeoutMs: 300 }, systemClock);
    const tell = (store: Store = shop.context.store, over: Webhook | null = webhook) =>
      tellOnce({
        target: "shop",
        store,
        clock: shop.clock,
        random: () => 0.5,
        log: (entry) => log.push(entry),
        webhook: over,
        signal: new AbortController().signal,
      });
    return { receiver, shop, log, tell };
  };
  const keys = ({ received }: Receiver) => received.map(({ headers }) => headers["webhook-id"]);

  test("is told once: each step and each refusal, signed, with names and reasons and no definition", async () => {
    const { receiver, shop, log, tell } = await open();
    const deployment = await shop.approved({ ...on("orders", "note"), where: "note = 'a customer''s secret'" });
    await shop.attempt({ mode: "observe" }, deployment);
    await tell();
    await tell();
    expect(receiver.received).toHaveLength(2);
    const bodies = receiver.received.map(({ body }) => JSON.parse(body) as { type: string; data: object });
    expect(bodies).toMatchObject([
      { type: "indexpilot.transition", data: { target: "shop", subject: "propose", outcome: "approved" } },
      {
        type: "indexpilot.decision",
        data: {
          subject: "refuse",
          code: "mode",
          reason: expect.stringContaining("observe"),
          deployment: { id: deployment.id, index: deployment.indexName, table: "public.orders" },
        },
      },
    ]);
    for (const { headers, body } of receiver.received) {
      expect(body).not.toMatch(/secret|where/i);
      const at = Number(headers["webhook-timestamp"]);
      expect(headers["webhook-signature"]).toBe(sign("whsec_c2VjcmV0", String(headers["webhook-id"]), at, body));
    }
    expect(log.map(({ level, event }) => `${level} ${event}`)).toEqual(["info transition", "warn decision"]);
    // Each candidate that was declined is in the history; nobody wants a message about each.
    await shop.context.store.decisions.record({
      at: shop.clock.now(),
      subject: "decline",
      deploymentId: null,
      rule: "r",
      outcome: "declined",
      code: "exists",
      reason: "",
      inputs: {},
    });
    await tell();
    expect(receiver.received).toHaveLength(2);
  });

  test.each([
    ["says no", 503, "status 503"],
    ["sends us elsewhere", 302, "status 302"],
    ["does not answer", null, "no answer in time"],
  ])("is told again where the receiver %s, under the same key, later and later", async (_, status, cause) => {
    const { receiver, shop, log, tell } = await open();
    await shop.approved();
    receiver.status = status;
    await tell();
    await tell();
    expect(receiver.received).toHaveLength(1);
    expect(log.at(-1)).toMatchObject({ event: "webhook", text: expect.stringContaining(cause) });
    expect(JSON.stringify(log)).not.toContain("hush");
    shop.pass(2);
    await tell();
    shop.pass(1);
    await tell();
    expect(receiver.received).toHaveLength(2);
    receiver.status = 200;
    shop.pass(60);
    await tell();
    await tell();
    expect(new Set(keys(receiver)).size).toBe(1);
    expect(receiver.received).toHaveLength(3);
    expect(await shop.context.store.notices.waiting()).toBe(0);
  });

  test("is not lost when the process dies before it was told, or in the middle of telling", async () => {
    const { receiver, shop, tell } = await open();
    const first = await shop.approved();
    await tell();
    // Recorded by a process that is gone; nobody has looked since.
    await advance(shop.context, first, "decline", { actor: "ann" });
    shop.pass(2 * 3_600);
    const successor = await openContext(target(), shop.database);
    const broken: Webhook = { post: () => Promise.reject(new Error("killed here")) };
    await expect(tell(successor.store, broken)).rejects.toThrow("killed here");
    await tell(successor.store);
    expect(keys(receiver)).toHaveLength(2);
    // Nobody is to be told, and nothing waits for the day that somebody is.
    await shop.approved(on("customers", "name"));
    await tell(successor.store, null);
    await tell(successor.store);
    expect(keys(receiver)).toHaveLength(2);
  });
});
