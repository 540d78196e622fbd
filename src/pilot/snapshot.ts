import type { Clock } from "../runtime/index.ts";
import { planKey, prunePlan, redactCatalog, type Snapshot } from "../snapshot/index.ts";
import { questionsOf } from "../whatif/index.ts";
import { withoutValues } from "../workload/index.ts";
import { count, readSubject } from "./analysis.ts";
import type { Emit } from "./events.ts";
import type { TargetSource } from "./source.ts";

export interface SnapshotInput {
  readonly source: TargetSource;
  /** Leave out every value of the data: statistics keep shares and counts, statements lose their constants, and no plan is kept. */
  readonly redact: boolean;
  /** Decides which values stand for parameters where they have to be guessed. */
  readonly seed: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly emit: Emit;
}

/**
 * Asks a target everything that `advise` would ask it, and nothing more. Reads only.
 * @throws IndexPilotError `workload_empty` when no statement can be analysed
 */
export const takeSnapshot = async ({ source, redact, seed, clock, signal, emit }: SnapshotInput): Promise<Snapshot> => {
  const { catalog, planned, workload, blindSpots, explainable } = await readSubject(source, emit, signal);
  if (redact) {
    const redacted = redactCatalog(catalog);
    return {
      takenAt: clock.now(),
      redacted: true,
      role: source.role,
      catalog: redacted,
      workload: withoutValues(workload, redacted, seed),
      blindSpots,
      endPoints: [],
      plans: new Map(),
    };
  }
  const endPoints = await source.readEndPoints(planned);
  const questions = explainable.flatMap(questionsOf);
  emit({ kind: "step", text: `asking the target for ${count(questions.length, "plan")}` });
  const answers = await source.plans(questions);
  const plans = new Map(
    questions.map((question, position) => {
      const answer = answers[position];
      if (answer === undefined) throw new Error("the target answered fewer questions than it was asked");
      return [
        planKey(question),
        answer.kind === "read" ? { ...answer, value: prunePlan(answer.value) } : answer,
      ] as const;
    }),
  );
  return { takenAt: clock.now(), redacted: false, role: source.role, catalog, workload, blindSpots, endPoints, plans };
};
