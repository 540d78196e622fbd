import type { Deployment } from "../domain/index.ts";
import { failure } from "../errors.ts";
import { advance } from "../rollout/index.ts";
import { type PilotContext, readStore, withWritableStore } from "./target.ts";

/** What waits for a person, oldest first. Reads only. */
export const readWaiting = async (context: PilotContext): Promise<readonly Deployment[]> =>
  ((await readStore(context, (store) => store.deployments.list({ states: ["proposed"] }))) ?? []).filter(isWhole);

/** Parts of one, on partitions, follow it. */
const isWhole = ({ partOf }: Deployment): boolean => partOf === undefined;

export interface Ruling {
  readonly verdict: "approve" | "decline";
  /** Ids or their beginnings, names of indexes; `all`: whatever waits for a person. */
  readonly subjects: readonly string[] | "all";
  readonly actor: string;
  readonly reason: string;
}

const named = (subject: string, { id, indexName, table }: Deployment): boolean =>
  (subject.length >= 4 && id.startsWith(subject.toLowerCase())) ||
  subject === indexName ||
  subject === `${table.schema}.${indexName}`;

const only = (subject: string, among: readonly Deployment[]): Deployment => {
  const [found, second] = among.filter((deployment) => named(subject, deployment));
  if (found === undefined) {
    throw failure("usage", {
      problem: `nothing that waits is called ${subject}`,
      hint: "`indexpilot approve` without a name lists what waits",
    });
  }
  if (second !== undefined) {
    throw failure("usage", {
      problem: `${subject} may be ${found.id} or ${second.id}`,
      hint: "write more of the id",
    });
  }
  return found;
};

/**
 * Records a person's word on what waits: nothing is built here. Until it is begun, what was approved can still be declined.
 * @returns what was ruled on, as it now is; without what another process took up meanwhile
 * @throws IndexPilotError `usage` where a subject is none or not one
 */
export const rule = (
  context: PilotContext,
  { verdict, subjects, actor, reason }: Ruling,
): Promise<readonly Deployment[]> =>
  withWritableStore(context, async (store) => {
    const open =
      verdict === "approve" || subjects === "all" ? (["proposed"] as const) : (["proposed", "approved"] as const);
    const waiting = (await store.deployments.list({ states: open })).filter(isWhole);
    const chosen = subjects === "all" ? waiting : [...new Set(subjects.map((subject) => only(subject, waiting)))];
    const ruled: Deployment[] = [];
    for (const deployment of chosen) {
      const detail = { by: actor, reason: reason === "" ? `by ${actor}` : `by ${actor}: ${reason}` };
      const next = await advance({ store, clock: context.clock }, deployment, verdict, { actor, detail });
      if (next !== null) ruled.push(next);
    }
    return ruled;
  });
