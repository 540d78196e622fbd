import { existsSync, readFileSync } from "node:fs";
import { isMap, isScalar, LineCounter, type Node, parseDocument, type YAMLMap } from "yaml";
import { z } from "zod";
import { failure } from "../errors.ts";
import { type KnobName, knobs } from "./knobs.ts";
import { nearest } from "./nearest.ts";

/** Where it is looked for when nobody names another. */
const CONFIG_FILE = "indexpilot_config.yaml";

/** What a file says, by knob. */
export interface ConfigFile {
  readonly file: string;
  readonly values: ReadonlyMap<KnobName, { readonly value: unknown; readonly line: number }>;
}

/** Parts of the programme that are planned. They may be written down as switched off, which they are; nothing else would be true. */
const unbuilt = ["ml_interception", "advanced_simulation", "chaos_engineering"] as const;

const byPath = new Map(Object.entries(knobs).map(([name, knob]) => [knob.path, name as KnobName]));
const sections = new Set(
  [...byPath.keys()].flatMap((path) => {
    const parts = path.split(".");
    return parts.slice(0, -1).map((_, at) => parts.slice(0, at + 1).join("."));
  }),
);

const children = (section: string): readonly string[] => {
  const prefix = section === "" ? "" : `${section}.`;
  const names = [...byPath.keys(), ...(section === "" ? ["features"] : [])]
    .filter((path) => path.startsWith(prefix))
    .map((path) => path.slice(prefix.length).split(".")[0] ?? "");
  return [...new Set(names)];
};

/**
 * Reads and checks a configuration. Every problem has its place; unknown keys are refused, with the key that was most likely meant.
 * @throws IndexPilotError `config_invalid`
 */
export const parseConfig = (text: string, file: string): ConfigFile => {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problems: { readonly offset: number; readonly text: string }[] = [];
  const values = new Map<KnobName, { value: unknown; line: number }>();
  const lineOf = (offset: number): number => lines.linePos(offset).line;
  const offsetOf = (node: unknown): number => (node as Node | null)?.range?.[0] ?? 0;
  const complain = (node: unknown, problem: string): void => {
    problems.push({ offset: offsetOf(node), text: problem });
  };

  const readKnob = (name: KnobName, key: Node, value: unknown): void => {
    const path = knobs[name].path;
    const raw: unknown = value === null ? null : (value as Node).toJS(document);
    const checked = knobs[name].written.safeParse(raw);
    if (checked.success) {
      values.set(name, { value: checked.data, line: lineOf(offsetOf(key)) });
      return;
    }
    for (const issue of checked.error.issues) {
      const at = document.getIn([...path.split("."), ...issue.path], true) ?? value ?? key;
      const inside = issue.path.length === 0 ? "" : ` (${issue.path.map(String).join(".")})`;
      if (issue.code === "unrecognized_keys") {
        complain(at, `${path}${inside}: unknown ${issue.keys.join(", ")}; it takes ${knobs[name].accepts}`);
      } else complain(at, `${path}${inside}: ${issue.message}`);
    }
  };

  /** The short form of two knobs: `{ enabled: true, interval: 86400 }`, in seconds. */
  const readMaintenance = (key: Node, value: unknown): void => {
    const shape = z.strictObject({ enabled: z.boolean(), interval: z.number().optional() });
    const said = shape.safeParse(value === null ? null : (value as Node).toJS(document));
    const everyMs = said.data?.interval === undefined ? undefined : said.data.interval * 1000;
    if (!said.success || (everyMs !== undefined && !knobs.inspectEveryMs.value.safeParse(everyMs).success)) {
      complain(
        key,
        "features.predictive_maintenance takes { enabled: true, interval: 86400 }: seconds, from an hour to 30 days",
      );
      return;
    }
    const line = lineOf(offsetOf(key));
    values.set("inspection", { value: said.data.enabled ? "on" : "off", line });
    if (everyMs !== undefined) values.set("inspectEveryMs", { value: everyMs, line });
  };

  /** The short form of one. */
  const readCanary = (key: Node, value: unknown): void => {
    const said = z
      .strictObject({ enabled: z.boolean() })
      .safeParse(value === null ? null : (value as Node).toJS(document));
    if (!said.success) complain(key, "features.canary_deployment takes { enabled: true } or { enabled: false }");
    else values.set("canary", { value: said.data.enabled ? "on" : "off", line: lineOf(offsetOf(key)) });
  };

  const readFeatures = (map: YAMLMap): void => {
    for (const { key, value } of map.items) {
      const name = isScalar(key) ? String(key.value) : "";
      if (name === "predictive_maintenance") readMaintenance(key as Node, value);
      else if (name === "canary_deployment") readCanary(key as Node, value);
      else if (!(unbuilt as readonly string[]).includes(name)) {
        complain(key, unknown(`features.${name}`, name, [...unbuilt, "predictive_maintenance", "canary_deployment"]));
      } else if (!isMap(value) || value.items.length !== 1 || value.get("enabled") !== false) {
        complain(key, `features.${name} does not exist yet: it can only be written as { enabled: false }`);
      }
    }
  };

  const readSection = (map: YAMLMap, section: string): void => {
    for (const { key, value } of map.items) {
      const name = isScalar(key) ? String(key.value) : "";
      const path = section === "" ? name : `${section}.${name}`;
      const knob = byPath.get(path);
      if (knob !== undefined) readKnob(knob, key as Node, value);
      else if (path === "features" || sections.has(path)) {
        if (isMap(value)) {
          if (path === "features") readFeatures(value);
          else readSection(value, path);
        } else if (value !== null && !(isScalar(value) && value.value === null)) {
          complain(key, `${path} must be a section, with its keys indented below it`);
        }
      } else complain(key, unknown(path, name, children(section)));
    }
  };

  for (const error of document.errors) problems.push({ offset: error.pos[0], text: error.message });
  if (problems.length === 0) {
    if (isMap(document.contents)) readSection(document.contents, "");
    else if (document.contents !== null) complain(document.contents, "the file must hold keys with values");
  }
  if (problems.length > 0) {
    throw failure("config_invalid", {
      file,
      problems: problems
        .toSorted((a, b) => a.offset - b.offset)
        .map((problem) => ({ line: lineOf(problem.offset), text: problem.text })),
    });
  }
  return { file, values };
};

const unknown = (path: string, name: string, known: readonly string[]): string => {
  const meant = nearest(name, known);
  return `unknown key ${path}${meant === null ? `; there are ${known.join(", ")}` : `; did you mean ${meant}?`}`;
};

/**
 * Reads the named file, or the working directory's where there is one.
 * @throws IndexPilotError `file_unusable`, `config_invalid`
 */
export const readConfigFile = (named: string | undefined): ConfigFile | null => {
  const file = named ?? CONFIG_FILE;
  if (named === undefined && !existsSync(file)) return null;
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (typeof code !== "string") throw error;
    throw failure("file_unusable", { file, cause: code }, error);
  }
  return parseConfig(text, file);
};
