import fc from "fast-check";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defaults, knobs, modeOf, resolveSettings } from "../../src/config/index.ts";
import { parseConfig } from "../../src/config/file.ts";
import { maskPassword } from "../../src/config/knob.ts";
import { nearest } from "../../src/config/nearest.ts";
import { IndexPilotError } from "../../src/errors.ts";
import { indexpilot } from "../surfaces/run.ts";

const settle = (text: string, flags: Readonly<Record<string, unknown>> = {}, environment = {}) =>
  resolveSettings({ flags: new Map(Object.entries(flags)), environment, file: parseConfig(text, "c.yaml") });

const complaint = (text: string): string => {
  try {
    settle(text);
  } catch (error) {
    if (error instanceof IndexPilotError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "accepted";
};

const whole = `
url: postgres://ann:s3same@db.example/shop
build_url: postgres://owner@db.example/shop
mode: autopilot
modes:
  - { schema: archive, mode: observe }
  - { schema: public, table: orders, mode: advise }
advice: { budget: 250MB, max_columns: 4, what_if: hypopg, seed: 7 }
observation:
  block: 2s
  baseline: 2m
verification: { minimum_blocks: 6, wait: 1h, alpha: 0.01, margin: 0.1 }
safeguards:
  lock_budget: 100ms
  indexes_per_table: 8
  maintenance_windows:
    - { time_zone: Europe/Berlin }
    - { time_zone: UTC, from: "22:00", to: "01:30", days: [sat, sun] }
  circuit_breaker: { failures: 3, open: 30s }
  load: { server_cores: 16 }
  disk_capacity: 1TB
targets:
  - { name: shop, url: "postgres://ann:s3same@db.example/shop", mode: observe }
  - { name: crm, url: postgres://ann@db.example/crm, build_url: "postgres://owner:s3same@db.example/crm" }
notices: { webhook_url: "https://hooks.example/hush", webhook_secret: env:HOOK }
features:
  ml_interception: { enabled: false }
`;

describe("indexpilot_config.yaml", () => {
  test("sets what it names and leaves the rest at its default, each with its source and line", () => {
    const { settings, effective } = settle(whole);
    expect(settings).toMatchObject({
      mode: "autopilot",
      modeOverrides: [
        { schema: "archive", mode: "observe" },
        { schema: "public", table: "orders", mode: "advise" },
      ],
      budgetBytes: 250e6,
      maxColumns: 4,
      whatIf: "hypopg",
      seed: 7,
      blockMs: 2000,
      baselineMs: 120_000,
      minimumBlocks: 6,
      waitMs: 3_600_000,
      alpha: 0.01,
      margin: 0.1,
      lockBudgetMs: 100,
      indexesPerTable: 8,
      breakerFailures: 3,
      breakerOpenMs: 30_000,
      serverCores: 16,
      diskCapacityBytes: 1e12,
      buildsPerTablePerHour: defaults.buildsPerTablePerHour,
    });
    expect(settings.maintenanceWindows).toEqual([
      {
        time_zone: "Europe/Berlin",
        from: "02:00",
        to: "06:00",
        days: ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
      },
      { time_zone: "UTC", from: "22:00", to: "01:30", days: ["sat", "sun"] },
    ]);
    const sources = new Map(effective.map((one) => [one.path, one.source]));
    expect(sources.get("advice.budget")).toBe("c.yaml:8");
    expect(sources.get("observation.baseline")).toBe("c.yaml:11");
    expect(sources.get("safeguards.cool_down")).toBe("default");
  });

  test("takes the short form of predictive maintenance, in seconds", () => {
    const short =
      "features:\n  predictive_maintenance: { enabled: true, interval: 7200 }\n  chaos_engineering: { enabled: false }\n";
    const { settings, effective } = settle(short);
    expect(settings).toMatchObject({ inspection: "on", inspectEveryMs: 7_200_000 });
    expect(effective.find(({ path }) => path === "predictive_maintenance.interval")).toMatchObject({
      source: "c.yaml:2",
    });
    expect(settle("features: { predictive_maintenance: { enabled: false } }").settings.inspection).toBe("off");
  });

  test.each(["", "# nothing\n", "safeguards:\n", "advice: {}\n"])("may say nothing: %j", (text) => {
    expect(settle(text).settings).toEqual(defaults);
  });

  test.each([
    [
      "an unknown key, with the one that was meant",
      "advice:\n  budgte: 1GB\n",
      /c\.yaml:2: unknown key advice\.budgte; did you mean budget\?/,
    ],
    ["an unknown section", "safegards:\n  lock_budget: 1s\n", /c\.yaml:1: .*did you mean safeguards\?/],
    [
      "a key like no other, with all there are",
      "\n\nobservation: { zebra: 1 }\n",
      /c\.yaml:3: .*there are block, baseline/,
    ],
    ["a nested unknown key", "safeguards:\n  load:\n    cores: 3\n", /c\.yaml:3: unknown key safeguards\.load\.cores/],
    ["a size that is none", "advice: { budget: lots }\n", /"lots" is not a size; write it as 250MB/],
    ["a bare number for a time", "observation: { block: 5 }\n", /must be written as 500ms, 30s/],
    ["a number out of bounds", "advice: { max_columns: 40 }\n", /must be between 1 and 8/],
    ["a fraction of a count", "advice: { max_columns: 2.5 }\n", /whole number/],
    ["a text for a number", 'advice: { max_columns: "three" }\n', /must be a number/],
    ["a choice that does not exist", "mode: auto\n", /must be one of observe, advise, approve, autopilot/],
    ["a URL of something else", "url: mysql://h/d\n", /must begin with postgres:\/\//],
    [
      "a time zone that does not exist",
      "safeguards:\n  maintenance_windows:\n    - time_zone: Mars/Olympus\n",
      /c\.yaml:3: .*\(0\.time_zone\): must be a time zone/,
    ],
    [
      "an unknown key in a window",
      "safeguards:\n  maintenance_windows:\n    - time_zone: UTC\n      form: 02:00\n",
      /unknown form/,
    ],
    ["a time that is none", 'safeguards:\n  maintenance_windows: [{ time_zone: UTC, from: "26:00" }]\n', /time of day/],
    ["a key twice", "mode: observe\nmode: advise\n", /c\.yaml:2: Map keys must be unique/],
    ["broken YAML", "advice: { budget: 1GB\n", /c\.yaml:/],
    ["a list for the whole", "- 1\n", /must hold keys/],
    ["a value for a section", "advice: 3\n", /advice must be a section/],
    [
      "a feature that does not exist yet, switched on",
      "features:\n  chaos_engineering: { enabled: true }\n",
      /c\.yaml:2: features\.chaos_engineering does not exist yet/,
    ],
    [
      "a short form with something else in it",
      "features:\n  canary_deployment: { enabled: true, percent: 10 }\n",
      /c\.yaml:2: features\.canary_deployment takes { enabled: true }/,
    ],
    [
      "settings of a feature that does not exist yet",
      "features:\n  ml_interception: { enabled: false, training_enabled: true }\n",
      /does not exist yet/,
    ],
    [
      "an interval of a second for what takes minutes",
      "features:\n  predictive_maintenance: { enabled: true, interval: 1 }\n",
      /c\.yaml:2: features\.predictive_maintenance takes .* seconds/,
    ],
    ["an unknown feature", "features:\n  ml_interceptor: { enabled: false }\n", /did you mean ml_interception\?/],
    [
      "a floor above its ceiling",
      "safeguards: { load: { floor: 9, ceiling: 3 } }\n",
      /usage: safeguards\.load\.floor is above safeguards\.load\.ceiling/,
    ],
  ])("is refused for %s", (_, text, expected) => {
    expect(complaint(text)).toMatch(expected);
  });

  test("is told all that is wrong with it at once, in the order of its lines", () => {
    expect(complaint("mod: advise\nadvice:\n  budget: 0\n  seed: -1\n").split("\n")).toHaveLength(3);
  });
});

describe("a setting", () => {
  test("comes from the flag before the environment before the file before the default", () => {
    const file = "url: postgres://file@h/d\nadvice: { budget: 1GB }\n";
    const environment = { INDEXPILOT_URL: "postgres://environment@h/d" };
    const source = (flags: Record<string, unknown>, from: Record<string, string>, text: string, path: string) =>
      settle(text, flags, from).effective.find((one) => one.path === path)?.source;
    expect(source({ "--url": "postgres://flag@h/d" }, environment, file, "url")).toBe("--url");
    expect(source({}, environment, file, "url")).toBe("INDEXPILOT_URL");
    expect(source({}, {}, file, "url")).toBe("c.yaml:1");
    expect(source({}, {}, "", "url")).toBe("default");
    expect(source({ "--budget": 5e6 }, { BUDGET: "1" }, file, "advice.budget")).toBe("--budget");
    expect(settle(file, { "--budget": 5e6 }).settings.budgetBytes).toBe(5e6);
  });

  test("is held to its bounds as a flag, too", () => {
    expect(() => settle("", { "--max-columns": 40 })).toThrow(/--max-columns must be between 1 and 8/);
  });

  test("has a default within its own bounds, a place of its own, and a reason", () => {
    const paths = Object.values(knobs).map((knob) => knob.path);
    expect(new Set(paths).size).toBe(paths.length);
    for (const knob of Object.values(knobs)) {
      if (knob.default !== null) expect(knob.value.safeParse(knob.default), knob.path).toMatchObject({ success: true });
      expect(knob.why.length).toBeGreaterThan(20);
    }
  });

  test("that is a URL is never shown with its password", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9%.!~*]{6,20}$/), (secret) => {
        const marked = `SECRET${secret}`;
        expect(maskPassword(`postgres://ann:${marked}@h:5432/d?sslmode=require`)).not.toContain(marked);
        expect(maskPassword(`postgres://ann@h/d?password=${marked}&sslmode=require`)).not.toContain(marked);
      }),
    );
    expect(maskPassword("postgres://ann@h/d")).toBe("postgres://ann@h/d");
  });

  test("of the mode: a table's outranks its schema's, and that the database's", () => {
    const overrides = [
      { schema: "archive", mode: "observe" },
      { schema: "archive", table: "hot", mode: "approve" },
    ] as const;
    const of = (schema: string, name: string) => modeOf({ schema, name }, "autopilot", overrides);
    expect([of("archive", "hot"), of("archive", "cold"), of("public", "hot")]).toEqual([
      "approve",
      "observe",
      "autopilot",
    ]);
  });

  test("is suggested only where one is near", () => {
    expect(nearest("budgt", ["budget", "seed"])).toBe("budget");
    expect(nearest("zebra", ["budget", "seed"])).toBeNull();
  });
});

describe("the command", () => {
  let directory: string;
  let file: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "ip-config-"));
    file = join(directory, "indexpilot_config.yaml");
    writeFileSync(file, whole);
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  test("config --explain shows each value and where it came from, without passwords", async () => {
    const shown = await indexpilot(["config", "--explain", "--json", "--config", file, "--budget", "1GB"], {
      INDEXPILOT_BUILD_URL: "postgres://owner:hush@other/shop",
    });
    expect(shown).toMatchObject({ code: 0 });
    expect(shown.out).not.toMatch(/s3same|hush/);
    const { settings } = JSON.parse(shown.out) as { settings: { key: string; value: unknown; source: string }[] };
    const of = (key: string) => settings.find((one) => one.key === key);
    expect(of("advice.budget")).toMatchObject({ value: 1e9, source: "--budget" });
    expect(of("build_url")).toMatchObject({ value: "postgres://owner:***@other/shop", source: "INDEXPILOT_BUILD_URL" });
    expect(of("url")).toMatchObject({ value: "postgres://ann:***@db.example/shop", source: `${file}:2` });
    expect(of("safeguards.permit")).toMatchObject({ value: 60_000, source: "default" });
    expect(settings).toHaveLength(Object.keys(knobs).length);
    const text = await indexpilot(["config", "--explain", "--config", file]);
    expect(text.out).toMatch(/advice\.seed +7 {2}\(.*:8\)/);
    expect(text.out).not.toMatch(/s3same|hush/);
  });

  test("does not mind that nobody reads its output to the end", () => {
    const program = join(import.meta.dirname, "../../bin/indexpilot.js");
    const { stdout, stderr } = spawnSync(
      "sh",
      ["-c", `"${process.execPath}" "${program}" config --explain | head -n 1`],
      {
        encoding: "utf8",
      },
    );
    expect(stdout).toContain("url");
    expect(stderr).toBe("");
  });

  test("takes URLs from the file, and every command refuses a file that is wrong", async () => {
    const elsewhere = join(directory, "elsewhere.yaml");
    writeFileSync(elsewhere, "url: postgres://u@127.0.0.1:1/d\n");
    expect(await indexpilot(["doctor", "--config", elsewhere])).toMatchObject({
      code: 3,
      err: expect.stringContaining("localhost:1"),
    });
    const wrong = join(directory, "wrong.yaml");
    writeFileSync(wrong, "advise: {}\n");
    const refused = await indexpilot(["status", "--config", wrong]);
    expect(refused.code).toBe(2);
    expect(refused.err).toContain("wrong.yaml:1: unknown key advise; did you mean advice?");
    expect(await indexpilot(["status", "--config", join(directory, "missing.yaml")])).toMatchObject({ code: 2 });
  });
});
