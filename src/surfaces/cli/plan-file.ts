import { readFile } from "node:fs/promises";
import { z } from "zod";
import { tableId } from "../../domain/index.ts";
import { failure } from "../../errors.ts";
import type { ChangePlan } from "../../pilot/index.ts";
import { causeOf, writeOutputFile } from "./output-file.ts";

const FORMAT = "indexpilot plan";
/** Counts up with every change that an older reader would misunderstand. */
const FORMAT_VERSION = 1;

const tableName = { schema: z.string(), name: z.string() };
const texts = z.array(z.string());

const definition = z.object({
  table: z.object(tableName),
  method: z.enum(["btree", "hash", "gin", "gist", "spgist", "brin"]),
  keys: z
    .array(
      z.object({
        column: z.string(),
        direction: z.enum(["asc", "desc"]),
        nulls: z.enum(["first", "last"]),
        expression: z.string().exactOptional(),
        opclass: z.string().exactOptional(),
        opclassSchema: z.string().exactOptional(),
      }),
    )
    .min(1),
  include: texts,
  where: z.string().exactOptional(),
});

/** What a {@link ChangePlan} is, in a file; what a newer version adds is passed over. */
const planDocument = z.object({
  target: z.object({ systemIdentifier: z.string(), databaseOid: z.number(), database: z.string() }),
  tables: z.array(z.object({ ...tableName, oid: z.number(), structure: z.string() })),
  controlIds: texts,
  create: z.array(
    z.object({
      definition,
      predictedBytes: z.number(),
      statementIds: texts,
      queries: texts,
      costBefore: z.number(),
      costAfter: z.number(),
      writeIds: texts,
      prediction: z
        .object({
          buildMs: z.number(),
          writeOverhead: z.number().nullable(),
          savedPerPaid: z.number().nullable(),
        })
        .exactOptional(),
      confidence: z.enum(["high", "low", "unknown"]).exactOptional(),
      finding: z.enum(["unused", "redundant", "invalid", "foreign_key"]).exactOptional(),
    }),
  ),
  // Plans of before drops were recommended have none.
  drop: z
    .array(
      z.object({
        name: z.string(),
        table: z.object(tableName),
        definition: z.string(),
        sizeBytes: z.number(),
        code: z.string(),
        reason: z.string(),
        sql: z.string().nullable(),
        remark: z.string(),
      }),
    )
    .default([]),
}) satisfies z.ZodType<ChangePlan>;

/** Writes a plan to be reviewed and applied later. @throws IndexPilotError `file_unusable`, also where the file exists */
export const writePlanFile = async (file: string, plan: ChangePlan): Promise<void> => {
  const document = { format: FORMAT, formatVersion: FORMAT_VERSION, ...plan };
  await writeOutputFile(file, `${JSON.stringify(document, null, 2)}\n`, { mode: 0o600 });
};

/** Reads a plan. @throws IndexPilotError `file_unusable`, `usage` when it is not a plan of ours */
export const readPlanFile = async (file: string): Promise<ChangePlan> => {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw failure("file_unusable", { file, cause: causeOf(error) }, error);
  }
  const notOurs = (why: string) =>
    failure("usage", {
      problem: `${file} is not a plan: ${why}`,
      hint: "make one with `indexpilot advise --out plan.json`",
    });
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw notOurs("it is not JSON");
  }
  const document = parsed as { format?: unknown; formatVersion?: unknown } | null;
  if (document?.format !== FORMAT) throw notOurs(`it does not say "format": "${FORMAT}"`);
  if (document.formatVersion !== FORMAT_VERSION) throw notOurs(`its format version is not ${String(FORMAT_VERSION)}`);
  const checked = planDocument.safeParse(document);
  if (!checked.success) {
    const place = (checked.error.issues[0]?.path ?? []).map(String).join(".");
    throw notOurs(`${place} is missing or damaged`);
  }
  const listed = new Set(checked.data.tables.map(tableId));
  if (checked.data.create.some((one) => !listed.has(tableId(one.definition.table)))) {
    throw notOurs("it does not list the tables of its indexes");
  }
  return checked.data;
};
