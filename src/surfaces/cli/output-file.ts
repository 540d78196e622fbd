import { writeFile } from "node:fs/promises";
import { failure } from "../../errors.ts";

/** The system's word for why a file cannot be used. @throws what is no error of the file system */
export const causeOf = (error: unknown): string => {
  const { code } = error as { code?: unknown };
  if (typeof code === "string" && /^E[A-Z]+$/.test(code)) return code;
  throw error;
};

/**
 * Writes a file that a command makes.
 * @param mode permissions of a new file; by default what the process's umask leaves
 * @throws IndexPilotError `file_unusable`, also where the file exists and is not to be replaced
 */
export const writeOutputFile = async (
  file: string,
  text: string,
  { replace = false, mode }: { readonly replace?: boolean; readonly mode?: number } = {},
): Promise<void> => {
  try {
    await writeFile(file, text, { flag: replace ? "w" : "wx", mode });
  } catch (error) {
    throw failure("file_unusable", { file, cause: causeOf(error) }, error);
  }
};
