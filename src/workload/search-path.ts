/** The schema names of a `search_path` setting as PostgreSQL shows it: `"$user", app, "Odd ""name"`. Unquoted names fold to lower case. */
export const searchPathNames = (setting: string): readonly string[] =>
  [...setting.matchAll(/"((?:[^"]|"")*)"|([^\s,"]+)/g)]
    .map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? (plain ?? "").toLowerCase())
    .filter((name) => name !== "");

/** One row of `pg_db_role_setting` about `search_path`; '0' stands for every database or every role. */
export interface SearchPathSetting {
  readonly database: string;
  readonly role: string;
  /** The value, without `search_path=`. */
  readonly value: string;
}

/**
 * The setting a new session of a role begins with, the most specific first: role in database, role, database, all, else the server's
 * (`process_settings` in PostgreSQL's postinit.c).
 */
export const settingFor = (
  settings: readonly SearchPathSetting[],
  roleOid: string,
  databaseOid: string,
  serverDefault: string,
): string => {
  const order = [
    [databaseOid, roleOid],
    ["0", roleOid],
    [databaseOid, "0"],
    ["0", "0"],
  ];
  for (const [database, role] of order) {
    const found = settings.find((setting) => setting.database === database && setting.role === role);
    if (found !== undefined) return found.value;
  }
  return serverDefault;
};

/** `search_path=…` out of a `setconfig` element; null for other settings. */
export const searchPathValue = (setting: string): string | null =>
  /^search_path=/i.test(setting) ? setting.slice("search_path=".length) : null;
