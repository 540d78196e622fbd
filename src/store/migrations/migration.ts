/** One forward step of the schema. Once released, neither the name nor a character of the SQL may change: a new step follows instead. */
export interface Migration {
  /** Sorts by its number. */
  readonly name: string;
  /** Statements that can run in one transaction, every object qualified by `indexpilot`. */
  readonly sql: string;
}
