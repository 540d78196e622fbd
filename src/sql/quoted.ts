/** An identifier between double quotes: means the same on every version, whatever words a grammar reserves. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
