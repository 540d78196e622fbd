import type { IndexDefinition } from "../domain/index.ts";

/** PostgreSQL's limit for identifiers (NAMEDATALEN − 1), bytes of UTF-8. */
const NAME_BYTES = 63;

const bytes = (text: string): number => Buffer.byteLength(text, "utf8");

const truncate = (text: string, limit: number): string => {
  let result = "";
  for (const character of text) {
    if (bytes(result) + bytes(character) > limit) break;
    result += character;
  }
  return result;
};

/** The name PostgreSQL itself would choose, e.g. `orders_customer_id_created_at_idx`; `attempt` > 0 adds a number, as it does. One on trial is told by its end. */
export const readableName = (definition: IndexDefinition, attempt = 0): string => {
  const suffix = `${definition.gate === undefined ? "_idx" : "_gated"}${attempt === 0 ? "" : String(attempt)}`;
  const stem = [definition.table.name, ...definition.keys.map((key) => key.column)].join("_");
  return `${truncate(stem, NAME_BYTES - bytes(suffix))}${suffix}`;
};

/** The name an index has while it is being built: nobody else's, and it says whose. */
export const temporaryName = (deploymentId: string): string => `ip_${deploymentId.slice(0, 8)}_build`;

/** The name of an index that was replaced, until it is dropped. */
export const retiredName = (deploymentId: string): string => `ip_${deploymentId.slice(0, 8)}_old`;

/** The comment on a finished index. It follows copies of a table, so alone it proves nothing. */
export const ownershipComment = (deploymentId: string): string => `indexpilot:${deploymentId}`;
