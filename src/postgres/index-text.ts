import type { TableName } from "../domain/index.ts";
import { quoteIdentifier, quoteName } from "./identifier.ts";

/** What `pg_get_indexdef` says of an index, apart from names. */
interface IndexText {
  readonly unique: boolean;
  /** The parent of a partitioned index, which has no rows of its own. */
  readonly only: boolean;
  /** `USING …` to the end, as the server writes it. */
  readonly body: string;
}

// The server writes every identifier so: bare, or in double quotes that are doubled inside.
const identifier = String.raw`(?:"(?:[^"]|"")+"|[^\s".]+)`;
const pattern = new RegExp(
  String.raw`^CREATE (UNIQUE )?INDEX ${identifier} ON (ONLY )?${identifier}(?:\.${identifier})? (USING .*)$`,
  "s",
);

/** @throws Error for a text that `pg_get_indexdef` does not write */
export const readIndexText = (definition: string): IndexText => {
  const match = pattern.exec(definition);
  if (match === null) throw new Error(`not what pg_get_indexdef writes: ${definition}`);
  return { unique: match[1] !== undefined, only: match[2] !== undefined, body: match[3] ?? "" };
};

/** Whether two definitions are the same, wherever the session's search path makes the server name schemas of types and operator classes. */
export const sameDefinition = (one: string, other: string): boolean => withoutSchemas(one) === withoutSchemas(other);

/** Whether two definitions are the same but for the names of index and table. */
export const sameIndexText = (one: string, other: string): boolean => {
  const [a, b] = [readIndexText(one), readIndexText(other)];
  return a.unique === b.unique && a.only === b.only && sameDefinition(a.body, b.body);
};

const withoutSchemas = (definition: string): string =>
  definition.replaceAll(/::("[^"]+"|\w+)\./g, "::").replaceAll(/ ("[^"]+"|\w+)\.(\w+_ops)\b/g, " $2");

/**
 * Renders `create index` from what `pg_get_indexdef` once said, under another name and on the table as it is called now. Concurrently: SHARE UPDATE
 * EXCLUSIVE on the table, reads and writes go on. The parent of a partitioned index cannot be built so: SHARE on the parent alone, for a catalogue entry.
 */
export const renderIndexText = (definition: string, table: TableName, name: string): string => {
  const { unique, only, body } = readIndexText(definition);
  return (
    `create ${unique ? "unique " : ""}index ${only ? "" : "concurrently "}${quoteIdentifier(name)}` +
    ` on ${only ? "only " : ""}${quoteName(table)} ${body}`
  );
};

/** A key constraint as `pg_get_constraintdef` says it, apart from its columns. */
interface KeyConstraint {
  readonly kind: "primary key" | "unique";
  readonly deferrable: boolean;
  readonly initiallyDeferred: boolean;
}

/** Null for what cannot be made of an index: exclusion constraints, and keys WITHOUT OVERLAPS. */
export const readKeyConstraint = (constraint: string): KeyConstraint | null => {
  const kind = constraint.startsWith("PRIMARY KEY") ? "primary key" : constraint.startsWith("UNIQUE") ? "unique" : null;
  if (kind === null || constraint.includes(" WITHOUT OVERLAPS)")) return null;
  return {
    kind,
    deferrable: / DEFERRABLE( INITIALLY DEFERRED)?$/.test(constraint),
    initiallyDeferred: constraint.endsWith(" INITIALLY DEFERRED"),
  };
};

/**
 * Renders the making of a constraint of an index, which gets the constraint's name: ACCESS EXCLUSIVE on the table, for a catalogue entry; a primary key's
 * columns must be NOT NULL already, else the table is read through. Needs ownership.
 */
export const renderAddConstraint = (
  table: TableName,
  name: string,
  { kind, deferrable, initiallyDeferred }: KeyConstraint,
  index: string,
): string =>
  `alter table ${quoteName(table)} add constraint ${quoteIdentifier(name)} ${kind} using index ${quoteIdentifier(index)}` +
  `${deferrable ? " deferrable" : ""}${initiallyDeferred ? " initially deferred" : ""}`;

/** Renders the dropping of a constraint with its index: ACCESS EXCLUSIVE on the table. Needs ownership. */
export const renderDropConstraint = (table: TableName, name: string): string =>
  `alter table ${quoteName(table)} drop constraint ${quoteIdentifier(name)}`;
