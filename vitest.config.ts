import { readFileSync, statfsSync } from "node:fs";
import { defineConfig } from "vitest/config";

const memory = "/dev/shm";

/** Whether servers can live in memory: with room for them, and where a program that is copied there may run. */
const fitsInMemory = (): boolean => {
  try {
    const { bavail, bsize } = statfsSync(memory);
    return bavail * bsize > 4e9 && !new RegExp(` ${memory} \\S+ \\S*noexec`).test(readFileSync("/proc/mounts", "utf8"));
  } catch {
    return false;
  }
};

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Real servers: starting one takes a second, building on it a few more, on a busy machine ten times that.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 2,
    // A server is a thousand files: on a disk they take as long as all the rest of its start.
    env: process.env["TMPDIR"] === undefined && fitsInMemory() ? { TMPDIR: memory } : {},
  },
});
