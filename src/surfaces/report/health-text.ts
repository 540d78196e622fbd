import type { IndexHealth } from "../../pilot/index.ts";

const day = (at: Date): string => at.toISOString().slice(0, 10);

/** When a rebuild is due, for people. */
export const reindexText = ({ reindex, bloat }: IndexHealth): string => {
  if (bloat.kind === "withheld") return bloat.code === "too_small" ? "" : bloat.reason;
  if (reindex === null) return "";
  switch (reindex.kind) {
    case "now":
      return "due now";
    case "insufficient": {
      const when = reindex.enoughAt === null ? "" : `, about ${day(reindex.enoughAt)}`;
      return `insufficient data: ${reindex.missing}${when}`;
    }
    case "later":
      if (reindex.earliest === null) return `not before ${day(reindex.lookedUntil)}`;
      return `${reindex.on === null ? `after ${day(reindex.lookedUntil)}` : day(reindex.on)} (${day(reindex.earliest)} to ${reindex.latest === null ? "later" : day(reindex.latest)})`;
  }
};

/** What is worth a heading, in this order. */
export const standingText = [
  { standing: "invalid_ours", heading: "Left half built by us" },
  { standing: "invalid", heading: "Invalid" },
  { standing: "being_built", heading: "Being built" },
  { standing: "on_trial", heading: "On trial: hidden before it is dropped" },
  { standing: "redundant", heading: "Redundant" },
  { standing: "unused", heading: "Unused" },
  { standing: "unused_not_proved", heading: "Perhaps unused, not proved" },
] as const;
