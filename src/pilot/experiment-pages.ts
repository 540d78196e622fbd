import type { Block, Experiment, StatementCounters } from "../domain/index.ts";
import { gateNumber } from "../domain/index.ts";
import { addGate, fingerprintOf } from "../sql/index.ts";
import type { Store, StoredStatement } from "../store/index.ts";
import { type PageEvidence, pageEvidence, type RecordedEvidence } from "../verification/index.ts";
import { combined } from "../workload/index.ts";

/**
 * Pages that each arm's statements read, as `pg_stat_statements` counted them: the server takes a statement with the gate for another than the one without. Null
 * where the control has a gate as well, for the numbers of gates are constants, which the server leaves out.
 */
export const pagesOf = async (
  store: Store,
  experiment: Experiment,
  evidence: RecordedEvidence,
): Promise<PageEvidence | null> => {
  const { control, treatment, table, tableOid, createdAt } = experiment;
  if (control.gate !== null || treatment.gate === null) return null;
  const { arms } = evidence;
  const recorded = [...arms.control.blocks, ...arms.treatment.blocks].flatMap((block) => [...block.statements.keys()]);
  const gate = { table, column: treatment.gate.column, number: gateNumber(experiment, "treatment"), bareName: true };
  /** By the fingerprint of the text with the gate, that of the text without. */
  const originals = new Map<string, string>();
  for (const { text, fingerprint } of await store.observations.readStatements([...new Set(recorded)])) {
    const outcome = addGate(text, gate);
    const gated = outcome.kind === "rewritten" ? fingerprintOf(outcome.text) : null;
    if (gated !== null) originals.set(gated, fingerprint);
  }
  const statements = await store.observations.readStatements([...originals].flat());
  const only = { statements: statements.map(({ id }) => id), table: tableOid };
  const { blocks } = await store.observations.readBlocks({ from: createdAt, only });
  const splittable = new Set(originals.values());
  const byId = new Map(statements.map((one) => [one.id, armOf(one, originals, splittable)]));
  const split = (block: Block, arm: "control" | "treatment"): Block => {
    const own = new Map<string, StatementCounters>();
    for (const [id, counters] of block.statements) {
      const found = byId.get(id);
      if (found?.arm !== arm) continue;
      // The same shape may come from several roles or search paths.
      const earlier = own.get(found.fingerprint);
      own.set(found.fingerprint, earlier === undefined ? counters : combined(earlier, counters));
    }
    return { ...block, statements: own };
  };
  return pageEvidence(evidence, {
    control: blocks.map((block) => split(block, "control")),
    treatment: blocks.map((block) => split(block, "treatment")),
  });
};

const armOf = (
  { fingerprint }: StoredStatement,
  originals: ReadonlyMap<string, string>,
  splittable: ReadonlySet<string>,
): { readonly arm: "control" | "treatment"; readonly fingerprint: string } | null => {
  const original = originals.get(fingerprint);
  if (original !== undefined) return { arm: "treatment", fingerprint: original };
  return splittable.has(fingerprint) ? { arm: "control", fingerprint } : null;
};
