import type { Deployment, Follower, TableName } from "../domain/index.ts";
import { tableId } from "../domain/index.ts";

/** How the traffic will be split to judge an index. */
export type Exposure =
  /** Side by side: a share of the transactions may use it. */
  | { readonly kind: "gate" }
  /** Before and after, the rows of some tenants first: who is not among them cannot be harmed. */
  | { readonly kind: "tenant"; readonly tenants: Tenants; readonly because: string }
  /** Another experiment is open on its table: it would be judged beside an index that a part of the traffic may use. */
  | { readonly kind: "later" }
  /** Before and after: everybody may use it at once. The weakest evidence, and always possible. */
  | { readonly kind: "time"; readonly because: string };

/** The tenants whose rows an index on trial holds: those up to a value. */
export interface Tenants {
  readonly column: string;
  /** SQL, as the server writes the literal. */
  readonly upTo: string;
}

/** The best exposure that is possible for an index that is about to be built. */
export const chooseExposure = (
  { kind, intended, recorded, table }: Pick<Deployment, "kind" | "intended" | "recorded" | "table">,
  known: {
    readonly followers: readonly Follower[];
    readonly isPartitioned: boolean;
    /** Tables with an experiment that is open. */
    readonly busy: readonly TableName[];
    /** Of its leading key, where that says whose row it is. */
    readonly tenants: Tenants | null;
    /** It had its canary, which could not run. */
    readonly wasTried: boolean;
  },
): Exposure => {
  const time = (because: string): Exposure => ({ kind: "time", because });
  if (kind !== "create" || intended === null || recorded !== null) return time("only a new index can be gated");
  if (known.isPartitioned) return time("its table is partitioned");
  if (known.wasTried) return time("its canary could not run");
  const absent = "no process of the application follows experiments";
  if (known.followers.length === 0 && known.tenants === null) return time(absent);
  if (known.busy.some((one) => tableId(one) === tableId(table))) return { kind: "later" };
  if (known.followers.length > 0 || known.tenants === null) return { kind: "gate" };
  return { kind: "tenant", tenants: known.tenants, because: absent };
};
