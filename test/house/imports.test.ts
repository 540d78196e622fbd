import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const source = resolve(import.meta.dirname, "../../src");

/** The order of ARCHITECTURE.md: a folder imports from rows above its own, and from what its row allows beside it. */
const layers: readonly (readonly string[])[] = [
  ["domain", "statistics", "sql", "plan", "errors.ts"],
  ["config", "runtime"],
  ["postgres", "embedded"],
  ["sizes"],
  ["store", "shadow", "snapshot"],
  [
    "workload",
    "candidates",
    "upkeep",
    "whatif",
    "selection",
    "rollout",
    "verification",
    "safeguards",
    "maintenance",
    "driver",
  ],
  ["pilot"],
  ["simulator", "daemon"],
  ["surfaces"],
];
/** Values build on one another, the demo's server needs a session, and a shadow is an embedded server seen through one. */
const besides: Readonly<Record<string, readonly string[]>> = {
  domain: ["plan"],
  sql: ["domain"],
  statistics: [],
  plan: [],
  "errors.ts": [],
  config: ["runtime"],
};

const files = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
const roomOf = (file: string): string => file.split("/")[0] ?? "";
const layerOf = (room: string): number => layers.findIndex((layer) => layer.includes(room));

interface Import {
  readonly from: string;
  readonly to: string;
}

const imports: readonly Import[] = files.flatMap((file) =>
  [...readFileSync(join(source, file), "utf8").matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)].map((match) => ({
    from: file,
    to: relative(source, resolve(source, dirname(file), match[1] ?? "")),
  })),
);

describe("the house", () => {
  test("has imports to check, and every folder has its place in the order", () => {
    expect(imports.length).toBeGreaterThan(50);
    expect([...new Set(files.map(roomOf))].filter((room) => layerOf(room) === -1)).toEqual([]);
  });

  test("imports run one way: from later rooms to earlier ones, and stages know nothing of one another", () => {
    const wrong = imports.filter(({ from, to }) => {
      const [a, b] = [roomOf(from), roomOf(to)];
      if (a === b) return false;
      return layerOf(b) >= layerOf(a) && !(besides[a] ?? []).includes(b);
    });
    expect(wrong).toEqual([]);
  });

  test("a folder is entered through its index.ts", () => {
    const wrong = imports.filter(({ from, to }) => {
      const inside = to.split("/").length > 1;
      return inside && roomOf(from) !== roomOf(to) && !to.endsWith("/index.ts");
    });
    // Minting permits is kept out of the vocabulary's door on purpose: the next test says who may.
    expect(wrong.filter(({ to }) => to !== "domain/permit.ts")).toEqual([]);
  });

  test("only the safeguards mint permits", () => {
    const minting = files.filter(
      (file) => file !== "domain/permit.ts" && readFileSync(join(source, file), "utf8").includes("mintPermit"),
    );
    expect(minting.filter((file) => roomOf(file) !== "safeguards")).toEqual([]);
    expect(minting.length).toBeGreaterThan(0);
  });

  test("time, chance and timers come from runtime only", () => {
    const wrong = files.filter(
      (file) =>
        roomOf(file) !== "runtime" &&
        /Date\.now\(|Math\.random\(|\bset(Timeout|Interval)\(|new Date\(\)/.test(
          readFileSync(join(source, file), "utf8"),
        ),
    );
    expect(wrong).toEqual([]);
  });

  test("every folder opens with the question it answers", () => {
    const rooms = [...new Set(files.map(roomOf))].filter((room) => !room.endsWith(".ts"));
    const silent = rooms.filter((room) => {
      const index = room === "surfaces" ? "surfaces/cli/index.ts" : `${room}/index.ts`;
      return !files.includes(index) || !/^\/\*\*\s*\n \* [^\n]+\?/.test(readFileSync(join(source, index), "utf8"));
    });
    expect(silent).toEqual([]);
  });
});
