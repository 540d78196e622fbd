import { failure } from "../errors.ts";
import { openSession, quoteIdentifier } from "../postgres/index.ts";
import { storeOver, type PilotContext, withSession } from "./target.ts";

/** What following an experiment needs: reading it, and adding what was seen. */
const grantsFor = (role: string): readonly string[] => [
  `grant usage on schema indexpilot to ${role}`,
  `grant select on indexpilot.migration, indexpilot.installation, indexpilot.stop_switch, indexpilot.experiment to ${role}`,
  `grant select, insert, update on indexpilot.experiment_window, indexpilot.experiment_statement to ${role}`,
  `grant select, insert, update, delete on indexpilot.experiment_follower to ${role}`,
];

/**
 * Lets a role of the application follow experiments. Makes the store where it is missing.
 * @returns the statements that were run
 * @throws IndexPilotError `usage` where there is no such role; as `openSession` and `openStore` do
 */
export const admitFollower = (context: PilotContext, role: string): Promise<readonly string[]> =>
  withSession(openSession(context.build, "store"), async (session) => {
    await storeOver(session, context);
    const found = await session.query("select from pg_catalog.pg_roles where rolname = $1", [role]);
    if (found.length === 0) {
      throw failure("usage", {
        problem: `there is no role ${role}`,
        hint: "name the role that the application connects as",
      });
    }
    const grants = grantsFor(quoteIdentifier(role));
    for (const grant of grants) await session.query(grant);
    return grants;
  });
