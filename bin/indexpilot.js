#!/usr/bin/env node
import { existsSync } from "node:fs";

const entry = new URL("../dist/surfaces/cli/main.js", import.meta.url);
if (!existsSync(entry)) {
  process.stderr.write(
    "indexpilot: not built yet (npm's --ignore-scripts skips the build).\n  remedy: run `npm run build && npm rebuild`\n",
  );
  process.exit(70);
}
await import(entry.href);
