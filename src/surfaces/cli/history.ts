import { formatDuration, formatSize } from "../../config/index.ts";
import type { Decision, Deployment, DeploymentEvent } from "../../domain/index.ts";
import { ExitCode } from "../../errors.ts";
import { findRollback, readHistory, readStatus, rebuiltOf, rollBack, type Status } from "../../pilot/index.ts";
import { actorOf, type CommandContext, type ConnectionFlags, pilotContext } from "./context.ts";
import { shortVerdict, showChange, showNotDropped, showRebuilt, tableOf } from "./outcome-view.ts";
import { table } from "./terminal.ts";

const nothingYet = "IndexPilot has not changed anything in this database yet.";

const deploymentDocument = (deployment: Deployment) => ({
  deployment: deployment.id,
  kind: deployment.kind,
  name: deployment.indexName,
  table: `${deployment.table.schema}.${deployment.table.name}`,
  state: deployment.state,
  definition: deployment.definition,
  sizeBytes: deployment.sizeBytes,
  buildMs: deployment.buildMs,
  rebuilt: rebuiltOf(deployment),
  verdict: deployment.verdict,
  rationale: deployment.rationale,
  createdAt: deployment.createdAt.toISOString(),
  updatedAt: deployment.updatedAt.toISOString(),
});

export const status = async (flags: ConnectionFlags, context: CommandContext): Promise<ExitCode> => {
  const found = await readStatus(pilotContext(flags, context));
  const { terminal } = context;
  if (context.json) {
    terminal.out(
      JSON.stringify(
        { ...found, gone: [...found.gone], deployments: found.deployments.map(deploymentDocument) },
        null,
        2,
      ),
    );
    return ExitCode.ok;
  }
  if (found.stop !== null) {
    const { stoppedBy, stoppedAt, reason } = found.stop;
    terminal.out(
      terminal.colors.red(
        `Stopped by ${stoppedBy} at ${stoppedAt.toISOString()}${reason === "" ? "" : `: ${reason}`}; \`indexpilot resume\` lets work begin again.`,
      ),
    );
  }
  if (found.deployments.length === 0) terminal.out(nothingYet);
  else {
    const rows = found.deployments.map((deployment) => [
      deployment.indexName,
      tableOf(deployment),
      `${deployment.kind === "create" ? "" : `${deployment.kind}, `}${deployment.state.replaceAll("_", " ")}${goneOf(found, deployment)}`,
      deployment.sizeBytes === null || found.gone.has(deployment.id) ? "" : formatSize(deployment.sizeBytes),
      deployment.buildMs === null ? "" : formatDuration(deployment.buildMs),
      shortVerdict(deployment.verdict),
    ]);
    terminal.out(
      table(
        [
          { title: "index" },
          { title: "table" },
          { title: "state" },
          { title: "size", align: "right" },
          { title: "built in", align: "right" },
          { title: "verdict", flexible: true },
        ],
        rows,
        terminal,
      ),
    );
    terminal.out(`\n${formatSize(found.ownedBytes)} are ours.`);
    for (const line of describeRecord(found.trackRecord)) terminal.out(line);
    const waiting = found.deployments.filter(({ state }) => state === "proposed").length;
    if (waiting > 0) terminal.out(`${String(waiting)} wait for approval: \`indexpilot approve\` lists them.`);
  }
  return ExitCode.ok;
};

const goneOf = ({ gone }: Status, { id, state }: Deployment): string => {
  if (!gone.has(id)) return "";
  // Who dropped what we were about to drop is not known.
  return state === "rolling_back" ? ", gone" : ", gone: dropped by others";
};

/** How our predictions fared; nothing where no index has a verdict yet. */
const describeRecord = ({
  decided,
  reverted,
  undecided,
  gains,
  achieved,
}: Status["trackRecord"]): readonly string[] => {
  if (decided + undecided === 0) return [];
  const brought =
    achieved === null ? "" : `; they brought ${(achieved * 100).toFixed(0)} % of the predicted saving (median)`;
  return [
    `${String(decided)} with a verdict, ${String(reverted)} of them taken back, ${String(undecided)} undecided${brought}.`,
    ...gains.map(
      ({ indexName, predicted, measured }) =>
        `  ${indexName}: predicted ${showChange(predicted)}, measured ${showChange(measured)}`,
    ),
  ];
};

type Entry = { readonly at: Date; readonly name: string; readonly what: string; readonly why: string };

const ofEvent = (event: DeploymentEvent, deployments: ReadonlyMap<string, Deployment>): Entry => {
  const deployment = deployments.get(event.deploymentId);
  const rebuilt = deployment === undefined || event.to !== "done" ? null : rebuiltOf(deployment);
  const { reason } = event.detail;
  return {
    at: event.at,
    name: deployment?.indexName ?? event.deploymentId,
    what: event.from === null ? event.to : event.from === event.to ? event.event : `${event.from} → ${event.to}`,
    why: rebuilt !== null ? showRebuilt(rebuilt) : typeof reason === "string" ? reason : `by ${event.actor}`,
  };
};

const ofDecision = (decision: Decision, deployments: ReadonlyMap<string, Deployment>): Entry => ({
  at: decision.at,
  name:
    decision.deploymentId === null ? "" : (deployments.get(decision.deploymentId)?.indexName ?? decision.deploymentId),
  what: `${decision.subject}: ${decision.outcome}`,
  why: `${decision.reason}${typeof decision.inputs["retryAt"] === "string" ? `; ask again after ${decision.inputs["retryAt"]}` : ""}`,
});

export const history = async (flags: ConnectionFlags, context: CommandContext): Promise<ExitCode> => {
  const found = await readHistory(pilotContext(flags, context));
  const { terminal } = context;
  if (context.json) {
    terminal.out(JSON.stringify({ ...found, deployments: found.deployments.map(deploymentDocument) }, null, 2));
    return ExitCode.ok;
  }
  if (!found.installed || found.events.length + found.decisions.length === 0) {
    terminal.out(nothingYet);
    return ExitCode.ok;
  }
  const deployments = new Map(found.deployments.map((deployment) => [deployment.id, deployment]));
  // Each declined candidate has its record too; for a person the count per analysis is enough.
  const declined = found.decisions.filter((decision) => decision.subject === "decline").length;
  const entries = [
    ...found.events.map((event) => ofEvent(event, deployments)),
    ...found.decisions
      .filter((decision) => decision.subject !== "decline")
      .map((decision) => ofDecision(decision, deployments)),
  ].sort((a, b) => a.at.getTime() - b.at.getTime());
  const rows = entries.map((entry) => [
    entry.at.toISOString().slice(0, 19).replace("T", " "),
    entry.name,
    entry.what,
    entry.why,
  ]);
  terminal.out(
    table(
      [{ title: "when (UTC)" }, { title: "index" }, { title: "what" }, { title: "why", flexible: true }],
      rows,
      terminal,
    ),
  );
  if (declined > 0) terminal.out(`\n${String(declined)} declined candidates are recorded with their reasons (--json).`);
  return ExitCode.ok;
};

export interface RollbackFlags extends ConnectionFlags {
  readonly yes?: boolean;
  readonly blocking?: boolean;
}

export const rollback = async (index: string, flags: RollbackFlags, context: CommandContext): Promise<ExitCode> => {
  const pilot = pilotContext(flags, context);
  const { terminal } = context;
  if (flags.yes !== true) {
    const { deployment, gone } = await findRollback(pilot, index);
    if (context.json) terminal.out(JSON.stringify({ dryRun: true, gone, ...deploymentDocument(deployment) }, null, 2));
    else if (gone) {
      terminal.out(
        `${deployment.indexName} is gone already, dropped by others. To have it again: ${deployment.definition}`,
      );
      terminal.err(
        "Nothing was changed: this was a dry run. --yes records that it is gone, unless another one has its name.",
      );
    } else {
      terminal.out(`Would drop, concurrently: ${deployment.definition}`);
      terminal.out(
        `  ${deployment.sizeBytes === null ? "" : `${formatSize(deployment.sizeBytes)}, `}state ${deployment.state}, ${deployment.rationale.reason}`,
      );
      terminal.err("Nothing was changed: this was a dry run. --yes drops it.");
    }
    return ExitCode.ok;
  }
  const outcome = await rollBack(pilot, {
    index,
    actor: actorOf(context),
    blocking: flags.blocking === true,
  });
  if (context.json) {
    terminal.out(
      JSON.stringify(
        { ...outcome, ...("deployment" in outcome ? { deployment: deploymentDocument(outcome.deployment) } : {}) },
        null,
        2,
      ),
    );
  }
  if (outcome.kind !== "dropped") return showNotDropped(outcome, context);
  if (!context.json) {
    terminal.out(
      `${outcome.deployment.indexName}: ${outcome.wasThere ? "dropped" : "was gone already; recorded"}. To have it again: ${outcome.deployment.definition}`,
    );
  }
  return ExitCode.ok;
};
