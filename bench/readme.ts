/**
 * Writes into README.md what can be measured or derived: the demo's run on this machine, and the grants that the demo itself uses.
 * `npm run readme` (after `npm run build`).
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { accessStatements } from "../src/simulator/index.ts";

const program = fileURLToPath(new URL("../bin/indexpilot.js", import.meta.url));
const readme = new URL("../README.md", import.meta.url);

const between = (text: string, marker: string, content: string): string => {
  const begin = text.indexOf(`<!-- ${marker}:`);
  const start = text.indexOf("\n", begin) + 1;
  const end = text.indexOf("<!-- end -->", start);
  if (begin === -1 || end === -1) throw new Error(`README.md has no place for ${marker}`);
  return `${text.slice(0, start)}${content}\n${text.slice(end)}`;
};

const out = execFileSync(process.execPath, [program, "demo", "--quiet"], {
  encoding: "utf8",
  env: { ...process.env, NO_COLOR: "1" },
  maxBuffer: 1e8,
});
const run = out.slice(0, out.indexOf("\nOn your own database")).trim();
const where = `\`npx indexpilot demo\` on ${String(cpus().length)} cores, PostgreSQL 18, ${new Date().toISOString().slice(0, 10)}:`;
const grants = accessStatements({
  database: "shop",
  schemas: ["public"],
  owner: "shop_owner",
  observe: "indexpilot_observe",
  build: "indexpilot_build",
  password: null,
}).map((statement) => `${statement};`);

let text = readFileSync(readme, "utf8");
text = between(text, "run", `${where}\n\n\`\`\`\n${run}\n\`\`\``);
text = between(text, "grants", `\`\`\`sql\n${grants.join("\n")}\n\`\`\``);
writeFileSync(readme, text);
