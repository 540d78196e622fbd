import { majorVersion, type ServerIdentity } from "../../domain/index.ts";
import { availableMajors } from "../../embedded/index.ts";
import type { Session } from "../../postgres/index.ts";
import { type Check, found, ok } from "./check.ts";

/** Extensions that keep tables in ways of their own: what they own is advised on and never written to. */
const managing: ReadonlyMap<string, string> = new Map([
  ["timescaledb", "TimescaleDB"],
  ["citus", "Citus"],
]);

/** Who can answer what-if here, and who else has a hand in the tables. */
export const extensionChecks = async (session: Session, server: ServerIdentity): Promise<Check[]> => {
  const major = majorVersion(server.versionNum);
  const rows = await session.query<{ name: string; version: string }>(
    "select extname::text as name, extversion as version from pg_extension where extname = any ($1)",
    [["hypopg", ...managing.keys()]],
  );
  const hypopg = rows.find(({ name }) => name === "hypopg");
  const checks: Check[] = [
    availableMajors().includes(major)
      ? ok("what-if: shadow", `an embedded PostgreSQL ${String(major)} is on this machine`)
      : found(
          hypopg === undefined ? "problem" : "warning",
          "what-if: shadow",
          `no embedded PostgreSQL ${String(major)} on this machine`,
          `\`indexpilot advise\` names the command that installs it, or plans as WebAssembly where none runs${hypopg === undefined ? "" : "; or use --what-if hypopg"}`,
        ),
  ];
  if (hypopg !== undefined)
    checks.push(ok("what-if: hypopg", `HypoPG ${hypopg.version} is installed in this database`));
  for (const [extension, product] of managing) {
    const installed = rows.find(({ name }) => name === extension);
    if (installed === undefined) continue;
    checks.push(
      found(
        "note",
        extension,
        `${product} ${installed.version} manages tables here: IndexPilot advises on them and never writes to them`,
        `create what \`indexpilot advise\` shows yourself, the way ${product} documents`,
      ),
    );
  }
  return checks;
};
