import { failure } from "../errors.ts";
import type { Settings } from "./defaults.ts";
import type { ConfigFile } from "./file.ts";
import type { Knob } from "./knob.ts";
import { type KnobName, knobs } from "./knobs.ts";

/** One knob's value and where it came from. */
export interface Effective {
  readonly name: KnobName;
  readonly path: string;
  readonly value: unknown;
  /** As one would write it; passwords masked. */
  readonly shown: string;
  /** `--budget`, `INDEXPILOT_URL`, `indexpilot_config.yaml:12`, `default`. */
  readonly source: string;
  readonly accepts: string;
  readonly why: string;
}

export interface Resolved {
  readonly settings: Settings;
  readonly effective: readonly Effective[];
}

interface Sources {
  /** Values of flags that were given, by flag. */
  readonly flags: ReadonlyMap<string, unknown>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly file: ConfigFile | null;
}

/**
 * Each knob from the strongest source that has it: command line, environment (URLs only), file, default.
 * @throws IndexPilotError `usage` when a flag's or a variable's value is out of bounds, or values contradict each other
 */
export const resolveSettings = ({ flags, environment, file }: Sources): Resolved => {
  const effective = Object.entries(knobs).map(([key, entry]): Effective => {
    const name = key as KnobName;
    const knob = entry as unknown as Knob<unknown>;
    const { path, accepts, why } = knob;
    const of = (value: unknown, source: string): Effective => ({
      name,
      path,
      value,
      shown: knob.show(value),
      source,
      accepts,
      why,
    });
    const checked = (value: unknown, source: string): Effective => {
      const result = knob.value.safeParse(value);
      if (result.success) return of(value, source);
      const [issue] = result.error.issues;
      throw failure("usage", { problem: `${source} ${issue?.message ?? "is wrong"}`, hint: `it takes ${accepts}` });
    };
    if (knob.flag !== undefined && flags.has(knob.flag)) return checked(flags.get(knob.flag), knob.flag);
    const variable = knob.environment === undefined ? undefined : environment[knob.environment];
    if (knob.environment !== undefined && variable !== undefined && variable !== "")
      return checked(variable, knob.environment);
    const said = file?.values.get(name);
    if (file !== null && said !== undefined) return of(said.value, `${file.file}:${String(said.line)}`);
    return of(knob.default, "default");
  });
  const settings = Object.fromEntries(effective.map(({ name, value }) => [name, value])) as unknown as Settings;
  const names = settings.targets.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) {
    throw failure("usage", { problem: `targets names ${twice} twice`, hint: "give each target a name of its own" });
  }
  requireOrder(settings, "loadFloor", "loadCeiling");
  requireOrder(settings, "breakerOpenMs", "breakerLongestOpenMs");
  return { settings, effective };
};

const requireOrder = (
  settings: Settings,
  low: "loadFloor" | "breakerOpenMs",
  high: "loadCeiling" | "breakerLongestOpenMs",
): void => {
  if (settings[low] <= settings[high]) return;
  throw failure("usage", {
    problem: `${knobs[low].path} is above ${knobs[high].path}`,
    hint: "`indexpilot config --explain` shows both",
  });
};
