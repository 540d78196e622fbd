import { z } from "zod";
import { maskPassword } from "./knob.ts";
import { modeOverride, modes } from "./mode.ts";

const postgresUrl = z
  .string("must be a text")
  .regex(/^postgres(ql)?:\/\//, "must begin with postgres:// or postgresql://");

export const namedTarget = z.strictObject({
  name: z
    .string("must be a name")
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, "must be a name of letters, digits, dots, dashes and underscores"),
  url: postgresUrl,
  build_url: postgresUrl.optional(),
  mode: z.enum(modes, `must be one of ${modes.join(", ")}`).optional(),
  modes: z.array(modeOverride, "must be a list").optional(),
});

/** One database of several, by a name; what it leaves out holds for all of them. */
export type NamedTarget = z.infer<typeof namedTarget>;

export const showTarget = ({ name, url, mode }: NamedTarget): string =>
  `${name} (${maskPassword(url)}${mode === undefined ? "" : `, ${mode}`})`;
