import { type Catalog, type Routine, type Table, tableId, type TableName } from "../domain/index.ts";

/** What is going to be planned. */
export interface Planned {
  /** The tables that the statements use, by `tableId`. */
  readonly tables: ReadonlySet<string>;
  /** The statements. */
  readonly texts: readonly string[];
  /** All schemas of their search paths. */
  readonly schemas: ReadonlySet<string>;
}

/**
 * The part of a catalogue that planning these statements can need: their tables with all relations of inheritance, and what they mention or what that
 * mentions in turn: views, functions, sequences, the tables of policies and of composite columns. A mention is any word that is the name, wherever it
 * stands: too much is harmless, too little is not. Types and roles stay as they are, functions where their arguments do, foreign keys where both ends
 * do. The same catalogue where nothing can go.
 */
export const partFor = (catalog: Catalog, planned: Planned): Catalog => {
  const { kept, isMentioned } = closure(catalog, planned);
  const isKept = (table: TableName): boolean => kept.has(tableId(table));
  const tables = catalog.tables.filter(isKept);
  if (tables.length === catalog.tables.length) return catalog;
  const names = new Set(tables.map((table) => table.name));
  const gone = new Set(catalog.tables.map((table) => table.name).filter((name) => !names.has(name)));
  return {
    ...catalog,
    tables: tables.map((table) => ({
      ...table,
      foreignKeys: table.foreignKeys.filter((key) => isKept(key.referenced)),
    })),
    views: catalog.views.filter(isMentioned),
    extendedStatistics: catalog.extendedStatistics.filter(({ table }) => isKept(table)),
    routines: (catalog.routines ?? []).filter(({ header }) => !wordsOf(header).some((word) => gone.has(word))),
    sequences: (catalog.sequences ?? []).filter(isMentioned),
    foreignTables: (catalog.foreignTables ?? []).filter(isMentioned),
  };
};

// Without `$`, which quotes bodies of functions; a name that has one is several words here, as it is in a text.
const wordsOf = (text: string): readonly string[] => text.toLowerCase().match(/[\p{L}_][\p{L}\p{N}_]*/gu) ?? [];

const routineName = ({ name }: Routine): TableName => {
  const [schema = "", ...rest] = name.slice(0, name.indexOf("(")).split(".");
  return { schema, name: rest.join(".") };
};

/** What of a table may name other tables. */
const tableTexts = (table: Table): string[] => [
  ...(table.policies ?? []).flatMap(({ using, check }) => [using ?? "", check ?? ""]),
  ...table.columns.map((column) => column.type),
];

/** What of a table may call functions. */
const functionTexts = (table: Table): string[] => [
  ...table.indexes.map((index) => index.definition),
  ...(table.checks ?? []).map((check) => check.definition),
  ...table.columns.flatMap((column) => column.generated?.expression ?? []),
];

const closure = (
  catalog: Catalog,
  planned: Planned,
): { readonly kept: ReadonlySet<string>; readonly isMentioned: (object: TableName) => boolean } => {
  const tables = new Map(catalog.tables.map((table) => [tableId(table), table]));
  const children = new Map<string, string[]>();
  for (const table of catalog.tables) {
    for (const parent of table.parents.map(tableId)) {
      const known = children.get(parent);
      if (known === undefined) children.set(parent, [tableId(table)]);
      else known.push(tableId(table));
    }
  }
  const kept = new Set<string>();
  /** Every word that was read so far, and those that may name a table; of a statement, its tables are known. */
  const words = new Set<string>();
  const tableWords = new Set<string>();
  const read = (text: string, namesTables: boolean): void => {
    for (const word of wordsOf(text)) {
      words.add(word);
      if (namesTables) tableWords.add(word);
    }
  };
  const keep = (id: string): void => {
    const table = tables.get(id);
    if (table === undefined || kept.has(id)) return;
    kept.add(id);
    for (const text of tableTexts(table)) read(text, true);
    for (const text of functionTexts(table)) read(text, false);
    for (const parent of table.parents) keep(tableId(parent));
    for (const child of children.get(id) ?? []) keep(child);
  };
  const isNamed = (own: readonly string[], schema: string, among: ReadonlySet<string>): boolean =>
    own.every((word) => among.has(word)) &&
    (planned.schemas.has(schema) || wordsOf(schema).every((word) => words.has(word)));
  const isMentioned = ({ schema, name }: TableName): boolean => isNamed(wordsOf(name), schema, words);

  for (const text of planned.texts) read(text, false);
  for (const id of planned.tables) keep(id);
  const others = catalog.tables.map((table) => ({ table, own: wordsOf(table.name) }));
  const pending = new Set([
    ...catalog.views.map(({ schema, name, definition }) => ({ schema, name, text: definition })),
    ...(catalog.routines ?? []).map((routine) => ({
      ...routineName(routine),
      text: routine.header + (routine.body ?? ""),
    })),
  ]);
  const extent = (): number => words.size + tableWords.size + kept.size;
  for (let before = -1; before !== extent();) {
    before = extent();
    for (const object of pending) {
      if (!isMentioned(object)) continue;
      pending.delete(object);
      read(object.text, true);
    }
    for (const { table, own } of others) if (isNamed(own, table.schema, tableWords)) keep(tableId(table));
  }
  return { kept, isMentioned };
};
