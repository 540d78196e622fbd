/** `problem` stops something from working, `warning` makes it worse, `note` is good to know. */
export type CheckLevel = "ok" | "note" | "warning" | "problem";

export interface Check {
  readonly name: string;
  readonly level: CheckLevel;
  readonly found: string;
  /** What to do, as SQL wherever SQL does it; what else is needed stands behind `--`. Null when there is nothing to do. */
  readonly remedy: string | null;
}

export const ok = (name: string, found: string): Check => ({ name, level: "ok", found, remedy: null });

export const found = (level: Exclude<CheckLevel, "ok">, name: string, what: string, remedy: string | null): Check => ({
  name,
  level,
  found: what,
  remedy,
});

/** SQL condition: the relation `c` in schema `n` is the application's. */
export const isApplications = `
  n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'indexpilot') and c.relpersistence <> 't'
  and not exists (select from pg_depend e where e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')`;

/** `a, b and 3 more`. */
export const some = (names: readonly string[], shown = 3): string =>
  names.length > shown
    ? `${names.slice(0, shown).join(", ")} and ${String(names.length - shown)} more`
    : names.join(", ");

export const SUPERUSER = "-- as a superuser";
export const RESTART = "-- as a superuser, then restart the server";
