import type { ServerIdentity } from "../domain/index.ts";
import { type ConnectionTarget, openSession, readServerIdentity } from "../postgres/index.ts";
import type { Check } from "./doctor/check.ts";
import { extensionChecks } from "./doctor/extensions.ts";
import { buildRoleChecks, observeRoleChecks } from "./doctor/roles.ts";
import {
  connectionCheck,
  diskCheck,
  lockCheck,
  replicationChecks,
  settingChecks,
  versionCheck,
} from "./doctor/server.ts";
import { statementChecks } from "./doctor/statements.ts";
import { statisticsChecks } from "./doctor/statistics.ts";
import { withSession } from "./target.ts";

export interface Diagnosis {
  readonly server: ServerIdentity;
  readonly version: string;
  readonly checks: readonly Check[];
}

/**
 * Looks at everything that later commands rely on. Reads the catalogue and settings only; no privilege is needed to run it.
 * @throws IndexPilotError as `openSession` does: a pooler in between and an unsupported version end it at once, with their remedy
 */
export const diagnose = (observe: ConnectionTarget, build: ConnectionTarget): Promise<Diagnosis> =>
  withSession(openSession(observe, "observe"), async (session) => {
    const server = await readServerIdentity(session);
    const [row] = await session.query<{ version: string }>("select current_setting('server_version') as version");
    const separate = build !== observe;
    const sameServer = build.host === observe.host && build.port === observe.port;
    return {
      server,
      version: row?.version ?? "",
      checks: [
        versionCheck(server),
        await connectionCheck(session),
        ...(await replicationChecks(session, server, separate && !sameServer)),
        ...(await statementChecks(session)),
        ...(await observeRoleChecks(session)),
        ...(separate
          ? await withSession(openSession(build, "watch"), (builder) => buildRoleChecks(builder, true))
          : await buildRoleChecks(session, false)),
        ...(await statisticsChecks(session)),
        ...(await settingChecks(session)),
        ...(await extensionChecks(session, server)),
        await lockCheck(session),
        await diskCheck(session),
      ],
    };
  });
