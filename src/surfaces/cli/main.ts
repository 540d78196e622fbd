import { runCli } from "./index.ts";

// Who reads our output may stop reading (`| head`). That is no failure, and no reason to leave work half done.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});
process.exitCode = await runCli(process.argv);
