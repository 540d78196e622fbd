import { createHmac } from "node:crypto";
import type { Notice } from "../domain/index.ts";
import type { Clock } from "../runtime/index.ts";

export type Posted = { readonly kind: "taken" } | { readonly kind: "failed"; readonly error: string };

export interface Webhook {
  /** Posts one notice. Never throws for what the other side does. */
  post(target: string, notice: Notice): Promise<Posted>;
}

/**
 * Signs as standardwebhooks.com says: HMAC-SHA-256 over `id.timestamp.body`, base64, with the bytes of the secret (after `whsec_` its base64).
 * @param timestamp seconds since 1970
 */
export const sign = (secret: string, id: string, timestamp: number, body: string): string => {
  const key = secret.startsWith("whsec_")
    ? Buffer.from(secret.slice("whsec_".length), "base64")
    : Buffer.from(secret, "utf8");
  return `v1,${createHmac("sha256", key)
    .update(`${id}.${String(timestamp)}.${body}`)
    .digest("base64")}`;
};

/** Names of objects, codes and reasons; definitions, which may hold values, stay at home. */
const bodyOf = (target: string, { at, kind, ...notice }: Notice): string =>
  JSON.stringify({
    type: `indexpilot.${kind}`,
    timestamp: at.toISOString(),
    data: { target, ...notice },
  });

/** What may be told of a failure: never the address, which may be a secret. */
const causeOf = (error: unknown): string => {
  const { name, cause } = error as { name?: unknown; cause?: { code?: unknown } };
  if (name === "TimeoutError") return "no answer in time";
  return typeof cause?.code === "string" ? cause.code : "no connection";
};

/** Posts to one address. `secret` null: unsigned. */
export const openWebhook = (
  { url, secret, timeoutMs }: { readonly url: string; readonly secret: string | null; readonly timeoutMs: number },
  clock: Clock,
): Webhook => ({
  async post(target, notice) {
    const body = bodyOf(target, notice);
    const timestamp = Math.floor(clock.now().getTime() / 1000);
    // Alike each time it is told, and not like another target's.
    const id = `${target}:${notice.key}`;
    let response: Response;
    try {
      response = await fetch(url, {
        method: "POST",
        body,
        // Whoever redirects it might send it anywhere.
        redirect: "manual",
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          "content-type": "application/json",
          "user-agent": "indexpilot",
          "webhook-id": id,
          "webhook-timestamp": String(timestamp),
          ...(secret === null ? {} : { "webhook-signature": sign(secret, id, timestamp, body) }),
        },
      });
    } catch (error) {
      // fetch fails with TypeError for whatever the network does, and with the signal's TimeoutError.
      if (error instanceof TypeError || error instanceof DOMException) return { kind: "failed", error: causeOf(error) };
      throw error;
    }
    await response.body?.cancel();
    return response.ok ? { kind: "taken" } : { kind: "failed", error: `status ${String(response.status)}` };
  },
});
