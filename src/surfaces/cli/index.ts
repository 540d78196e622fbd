/**
 * How does a person at a terminal, or a script, use IndexPilot?
 *
 * Translates flags into calls of the pilot and its answers into text or JSON. Makes no decision of its own. Results go to standard output,
 * progress and remarks to standard error; exit codes are those of `errors.ts`.
 */
export { runCli } from "./program.ts";
