/** SQLSTATE; `client` for an error that has none; null for no error. */
export const codeOf = (error: unknown): string | null => {
  if (error === null || error === undefined) return null;
  const { code } = error as { readonly code?: unknown };
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) ? code : "client";
};

/** Class 42: a name, a privilege or the syntax is wrong. The server says so before it runs anything. */
export const isRefusal = (error: unknown): boolean => codeOf(error)?.startsWith("42") ?? false;
