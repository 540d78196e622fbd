import { createServer } from "node:http";
import { failure } from "../errors.ts";
import type { Clock } from "../runtime/index.ts";
import { metricsOf } from "./metrics.ts";
import { isAlive, isReady, type Standing } from "./standing.ts";

export interface Health {
  readonly port: number;
  close(): Promise<void>;
}

/** Messages name roles, databases and addresses. */
const coded = (error: Standing["error"]): { readonly code: string } | null => error && { code: error.code };

const documentOf = (standing: Standing) => ({
  ...standing,
  error: coded(standing.error),
  beatMs: undefined,
  duties: Object.fromEntries(standing.duties),
});

/**
 * Serves, on all addresses of this machine: /livez (500 where a loop is dead: start the process again), /readyz (503 where a target is neither led nor stood by
 * for, and while it ends), /status (JSON) and /metrics (Prometheus). Names of targets and databases and codes of errors, no SQL, no secrets.
 * @throws IndexPilotError `usage` where the port cannot be had
 */
export const serveHealth = async (
  wanted: number,
  standings: readonly Standing[],
  { clock, drain }: { readonly clock: Clock; readonly drain: AbortSignal },
): Promise<Health> => {
  const metrics = metricsOf(standings);
  const answer = async (path: string): Promise<{ status: number; type: string; body: string }> => {
    const json = (status: number, body: object) => ({
      status,
      type: "application/json",
      body: `${JSON.stringify(body, null, 2)}\n`,
    });
    switch (path) {
      case "/livez": {
        const dead = standings.filter((one) => !isAlive(one, clock.monotonicMs())).map(({ target }) => target);
        return json(dead.length === 0 ? 200 : 500, { alive: dead.length === 0, dead });
      }
      case "/readyz": {
        const waiting = standings
          .filter((one) => !isReady(one))
          .map(({ target, role, error }) => ({ target, role, error: coded(error) }));
        const ready = waiting.length === 0 && !drain.aborted;
        return json(ready ? 200 : 503, { ready, ending: drain.aborted, waiting });
      }
      case "/status":
        return json(200, { ending: drain.aborted, targets: standings.map(documentOf) });
      case "/metrics":
        return { status: 200, type: metrics.contentType, body: await metrics.metrics() };
      default:
        return json(404, { paths: ["/livez", "/readyz", "/status", "/metrics"] });
    }
  };
  const server = createServer((request, response) => {
    const isRead = request.method === "GET" || request.method === "HEAD";
    const [path = "/"] = (request.url ?? "/").split("?", 1);
    const respond = async (): Promise<void> => {
      const { status, type, body } = await answer(isRead ? path : "");
      response.writeHead(status, { "content-type": type, "cache-control": "no-store" });
      response.end(request.method === "HEAD" ? undefined : body);
    };
    void respond();
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      reject(
        failure(
          "usage",
          {
            problem: `port ${String(wanted)} cannot be served: ${error.code ?? "unknown"}`,
            hint: "choose another --health-port",
          },
          error,
        ),
      );
    });
    server.listen(wanted, () => resolve());
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : wanted,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
