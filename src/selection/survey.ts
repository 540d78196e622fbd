import type { Chosen, Objective } from "./objective.ts";

/**
 * Finds the candidates that matter to each statement. Per width, from one column up: plans with all candidates of at most that width, then without each one that the
 * plan used, then without all of them, and so on for some rounds; narrow ones would not be seen beside wide ones, which cost less to read and more to keep. Then
 * plans with each of the found ones alone, also for the statements where a better one had hidden it.
 */
export const survey = async (
  objective: Objective,
  allowed: Chosen,
  rounds: number,
  exhausted: () => boolean,
): Promise<void> => {
  const { subjects } = objective;
  const idOf = (number: number): string => objective.candidates[number]?.id ?? "";
  const width = (number: number): number => {
    const definition = objective.candidates[number]?.definition;
    return definition === undefined ? 0 : definition.keys.length + definition.include.length;
  };
  await objective.ask(subjects.map((subject) => ({ subject, visible: [] })));
  for (const limit of [...new Set([...allowed].map(width))].toSorted((a, b) => a - b)) {
    let open = subjects.map((subject) => ({
      subject,
      visible: subject.relevant.filter((number) => allowed.has(number) && width(number) <= limit),
    }));
    for (let round = 0; round < rounds && open.length > 0 && !exhausted(); round += 1) {
      const answers = await objective.ask(open);
      const found = open.map((question, position) => {
        const answer = answers[position];
        const ids = answer?.kind === "costed" ? answer.used : [];
        return { ...question, used: question.visible.filter((number) => ids.includes(idOf(number))) };
      });
      if (round === 0) {
        await objective.ask(
          found.flatMap(({ subject, visible, used }) =>
            used.length < 2
              ? []
              : used.map((left) => ({ subject, visible: visible.filter((number) => number !== left) })),
          ),
        );
      }
      open = found.flatMap(({ subject, visible, used }) =>
        used.length === 0 ? [] : [{ subject, visible: visible.filter((number) => !used.includes(number)) }],
      );
    }
  }
  if (exhausted()) return;
  const pool = new Set([...allowed].filter((number) => objective.isUsable(number)));
  await objective.ask(
    subjects.flatMap((subject) =>
      subject.relevant.filter((number) => pool.has(number)).map((number) => ({ subject, visible: [number] })),
    ),
  );
};
