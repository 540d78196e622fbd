/**
 * Keeps one embedded server alive for as long as its own standard input is open. The pipe closes when the parent ends, however it ends
 * (SIGKILL included); then the server is stopped and its directory removed. Plain JavaScript in a file of its own, because it is started
 * as a process both from the sources and from the build.
 *
 * Its one argument is JSON: `{ program, arguments, base, log, owner: { uid, gid } | null }`.
 */
import { spawn } from "node:child_process";
import { openSync, readFileSync, rmSync } from "node:fs";

const order = JSON.parse(process.argv[2] ?? "null");
const log = openSync(order.log, "a");
const server = spawn(order.program, order.arguments, { cwd: order.base, stdio: ["ignore", log, log], ...order.owner });

const stop = () => {
  // SIGINT is PostgreSQL's fast shutdown, SIGQUIT the immediate one.
  server.kill("SIGINT");
  setTimeout(() => server.kill("SIGQUIT"), 10_000).unref();
};
server.on("error", () => process.exit(1));
process.stdout.on("error", () => undefined);
server.on("exit", (code) => {
  if (code !== 0) process.stdout.write(readFileSync(order.log, "utf8").slice(-4000));
  rmSync(order.base, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  process.exitCode = code ?? 1;
  process.stdin.destroy();
});
process.stdin.resume();
process.stdin.on("end", stop);
process.stdin.on("error", stop);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, stop);
