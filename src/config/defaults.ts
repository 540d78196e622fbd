import { type KnobName, knobs } from "./knobs.ts";

/** The value of every knob. */
export type Settings = { readonly [K in KnobName]: (typeof knobs)[K]["default"] };

/** What holds where nobody said otherwise. */
export const defaults = Object.fromEntries(
  Object.entries(knobs).map(([name, knob]) => [name, knob.default]),
) as unknown as Settings;
