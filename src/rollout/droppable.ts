import { readIndexText } from "../postgres/index.ts";
import type { StandingIndex } from "./standing.ts";

/** Why an index is never dropped, whoever asks. */
export interface Undroppable {
  readonly code:
    | "constraint"
    | "unique"
    | "replica_identity"
    | "clustered"
    | "extension_owned"
    | "attached_index"
    | "partitioned_parent"
    | "needed_by_others"
    | "index_invalid"
    | "index_valid";
  readonly reason: string;
}

/**
 * Whether an index stands for more than speed, so that it is never dropped for the sake of speed, or is not known to be finished. Pure; null: it may go as far as
 * that is concerned. Whether a replica uses it, whether somebody builds on its table and whether a statement needs it are asked elsewhere.
 * @param debris it is to go because a build has left it invalid: then it has to be, and unique it is only in the way
 */
export const objectionToDrop = (standing: StandingIndex, { debris = false } = {}): Undroppable | null => {
  const { name } = standing;
  if (standing.constraint !== null)
    return { code: "constraint", reason: `${name} belongs to a constraint: ${standing.constraint}` };
  if (!debris && readIndexText(standing.definition).unique)
    return { code: "unique", reason: `${name} is unique: it keeps duplicates out, whoever reads it` };
  if (standing.replicaIdentity) return { code: "replica_identity", reason: `${name} is the table's replica identity` };
  if (standing.clustered) return { code: "clustered", reason: `the table is clustered on ${name}` };
  if (standing.extension !== null)
    return { code: "extension_owned", reason: `${name} belongs to extension ${standing.extension}` };
  if (standing.attachedTo !== null)
    return { code: "attached_index", reason: `${name} is attached to the partitioned index ${standing.attachedTo}` };
  if (standing.isParent)
    return {
      code: "partitioned_parent",
      reason: `${name} is on a partitioned table: it can only be dropped with a lock that stops all access to the table and every partition`,
    };
  if (standing.referencedBy.length > 0 || standing.neededBy.length > 0)
    return {
      code: "needed_by_others",
      reason: `${[...standing.referencedBy, ...standing.neededBy].join(", ")} would have to be dropped with ${name}`,
    };
  if (debris) return standing.valid ? { code: "index_valid", reason: `${name} was finished meanwhile` } : null;
  return standing.valid
    ? null
    : {
        code: "index_invalid",
        reason: `${name} is invalid: somebody builds it, or it is what a failed build has left, and not ours to remove`,
      };
};
