import type { CandidateOrigin, IndexDefinition, IndexKey } from "../domain/index.ts";
import type { KeyDraft } from "./access-rules.ts";

interface Drafted {
  readonly statementId: string;
  readonly draft: KeyDraft;
}

const equalitiesOf = (draft: KeyDraft): readonly IndexKey[] => draft.keys.slice(0, draft.equalities);

/**
 * Orders that let two statements share one index: where the equality columns of one are among those of the other, they come first. (Among columns
 * compared with `=`, any order serves the longer one equally.)
 */
export const sharedOrders = (
  drafts: readonly Drafted[],
  distinct: (column: string) => number,
): { readonly statementId: string; readonly keys: readonly IndexKey[] }[] => {
  const sets = new Map<string, { readonly columns: readonly string[]; readonly statements: Set<string> }>();
  for (const { statementId, draft } of drafts) {
    const columns = equalitiesOf(draft).map((key) => key.column);
    if (columns.length === 0) continue;
    const name = JSON.stringify(columns.toSorted());
    const known = sets.get(name) ?? { columns, statements: new Set<string>() };
    known.statements.add(statementId);
    sets.set(name, known);
  }
  const shared: { statementId: string; keys: readonly IndexKey[] }[] = [];
  for (const { statementId, draft } of drafts) {
    const equalities = equalitiesOf(draft);
    if (equalities.length < 2) continue;
    for (const { columns: first, statements } of sets.values()) {
      const isOthers = statements.size > 1 || !statements.has(statementId);
      if (!isOthers || first.length >= equalities.length) continue;
      if (!first.every((column) => equalities.some((key) => key.column === column))) continue;
      const leads = (key: IndexKey): number => (first.includes(key.column) ? 0 : 1);
      const keys = equalities.toSorted(
        (a, b) => leads(a) - leads(b) || distinct(b.column) - distinct(a.column) || (a.column < b.column ? -1 : 1),
      );
      shared.push({ statementId, keys: [...keys, ...draft.keys.slice(draft.equalities)] });
    }
  }
  return shared;
};

/** One index for all that cover different columns behind the same keys. */
export const sharedPayloads = (
  candidates: readonly { readonly definition: IndexDefinition; readonly origins: readonly CandidateOrigin[] }[],
  maxInclude: number,
): {
  readonly keys: readonly IndexKey[];
  readonly include: readonly string[];
  readonly where: string | undefined;
  readonly origins: readonly CandidateOrigin[];
}[] => {
  const groups = new Map<string, (typeof candidates)[number][]>();
  for (const candidate of candidates) {
    if (candidate.definition.include.length === 0) continue;
    const keys = JSON.stringify([candidate.definition.keys, candidate.definition.where]);
    const group = groups.get(keys);
    if (group === undefined) groups.set(keys, [candidate]);
    else group.push(candidate);
  }
  return [...groups.values()].flatMap((group) =>
    group.flatMap((one, position) =>
      group.slice(position + 1).flatMap((other) => {
        const include = [...new Set([...one.definition.include, ...other.definition.include])];
        if (include.length > maxInclude) return [];
        const { keys, where } = one.definition;
        return [{ keys, include, where, origins: [...one.origins, ...other.origins] }];
      }),
    ),
  );
};
