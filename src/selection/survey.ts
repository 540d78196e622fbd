import type { Chosen, Objective, Subject } from "./objective.ts";

/**
 * Finds the candidates that matter to each statement. Per width, from one column up: plans with all candidates of at most that width, then without each one that the
 * plan used, then without all of them, and so on for some rounds; narrow ones would not be seen beside wide ones, which cost less to read and more to keep.
 * Statements in which little is to be gained are asked about with everything and with nothing only.
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
  const visibleTo = (subject: Subject, limit: number): number[] =>
    subject.relevant.filter((number) => allowed.has(number) && width(number) <= limit);
  const widths = [...new Set([...allowed].map(width))].toSorted((a, b) => a - b);
  const widest = widths.at(-1) ?? 0;
  await objective.ask(subjects.map((subject) => ({ subject, visible: [] })));
  await objective.ask(subjects.map((subject) => ({ subject, visible: visibleTo(subject, widest) })));
  const worthwhile = thoseThatMatter(subjects);
  for (const limit of widths) {
    let open = worthwhile.map((subject) => ({ subject, visible: visibleTo(subject, limit) }));
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
};

/** Statements that together could gain less than this share of what all could gain are not looked into. */
const negligible = 0.005;

/** The statements in which nearly all of the gain there can be lies. */
const thoseThatMatter = (subjects: readonly Subject[]): readonly Subject[] => {
  const gains = new Map(
    subjects.map((subject) => {
      const { known, weight } = subject;
      return [subject, weight * (known.upper(() => false) - known.upper(() => true))];
    }),
  );
  const gainOf = (subject: Subject): number => gains.get(subject) ?? 0;
  let rest = negligible * subjects.reduce((sum, subject) => sum + gainOf(subject), 0);
  const left = new Set<Subject>();
  for (const subject of subjects.toSorted((a, b) => gainOf(a) - gainOf(b))) {
    rest -= gainOf(subject);
    if (rest < 0) break;
    left.add(subject);
  }
  return subjects.filter((subject) => !left.has(subject));
};
