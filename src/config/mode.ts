import { z } from "zod";

/** How far IndexPilot may go, from least to most. */
export const modes = ["observe", "advise", "approve", "autopilot"] as const;
export type Mode = (typeof modes)[number];

const name = z.string("must be a name").min(1, "must be a name");

export const modeOverride = z.strictObject({
  schema: name,
  table: name.optional(),
  mode: z.enum(modes, `must be one of ${modes.join(", ")}`),
});

/** Another mode for a schema, or for one table of it. Names as the catalogue has them, unquoted. */
export type ModeOverride = z.infer<typeof modeOverride>;

export const showOverride = (one: ModeOverride): string =>
  `${one.schema}${one.table === undefined ? "" : `.${one.table}`}: ${one.mode}`;

/** The mode of a table: its own, else its schema's, else the database's. */
export const modeOf = (
  table: { readonly schema: string; readonly name: string },
  mode: Mode,
  overrides: readonly ModeOverride[],
): Mode => {
  const inSchema = overrides.filter((one) => one.schema === table.schema);
  // The last one said wins, as in every list of rules of this kind.
  const own = inSchema.findLast((one) => one.table === table.name);
  return (own ?? inSchema.findLast((one) => one.table === undefined))?.mode ?? mode;
};
