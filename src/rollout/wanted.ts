import type { Deployment, IndexDefinition, TableName } from "../domain/index.ts";
import { renderCreateIndex, renderIndexText, sameDefinition, sameIndexText, type Session } from "../postgres/index.ts";
import type { RolloutContext } from "./context.ts";
import { type CatalogIndex, expectedDefinition } from "./statements.ts";
import { advance } from "./transitions.ts";

/** What was advised. @throws Error for a deployment of what the history says */
export const advised = ({ id, intended }: Pick<Deployment, "id" | "intended">): IndexDefinition => {
  if (intended === null) throw new Error(`deployment ${id} does not come from advice`);
  return intended;
};

/** The statement that builds a deployment's index under its temporary name. */
export const buildStatement = ({ intended, recorded, temporaryName }: Deployment, table: TableName): string => {
  if (intended !== null) return renderCreateIndex(intended, temporaryName, { concurrently: true });
  if (recorded !== null) return renderIndexText(recorded.definition, table, temporaryName);
  throw new Error("a deployment that builds says what");
};

/** Whether the catalogue's index is what was intended, apart from its name. */
export const isAsIntended = async (
  session: Session,
  { intended, recorded }: Deployment,
  index: CatalogIndex,
): Promise<boolean> => {
  if (intended !== null)
    return sameDefinition(index.definition, await expectedDefinition(session, intended, index.name));
  return (
    recorded !== null &&
    sameIndexText(index.definition, recorded.definition) &&
    index.tablespace === recorded.tablespace
  );
};

/** What comes from the history stands because a person wanted it: there is nothing to prove. Idempotent. */
export const settleWanted = async (context: RolloutContext, deployment: Deployment): Promise<Deployment> => {
  if (deployment.recorded === null || deployment.state !== "verifying") return deployment;
  const detail = { reason: "a person wanted it: there is nothing to prove" };
  return (await advance(context, deployment, "settle", { actor: context.actor, detail })) ?? deployment;
};
