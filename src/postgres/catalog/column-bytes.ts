/** What bounds a stored value, with domains resolved to their base type. */
export interface StoredType {
  /** `pg_type.typname` of the base type. */
  readonly name: string;
  /** `pg_type.typlen`: bytes of a fixed-size type, −1 for variable length. */
  readonly length: number;
  /** `atttypmod`, or the domain's `typtypmod`; −1 without one. */
  readonly modifier: number;
}

/** PostgreSQL adds the size of a length word to most type modifiers (VARHDRSZ). */
const HEADER_BYTES = 4;

/**
 * The most bytes a stored value can take, length word included, or null when the type sets no bound.
 * `numeric(p, s)`: `numeric_maximum_size` in numeric.c.
 * @param bytesPerCharacter the longest character of the database's encoding
 */
export const maximumBytes = (type: StoredType, bytesPerCharacter: number): number | null => {
  if (type.length > 0) return type.length;
  // Family, bits, and an IPv6 address.
  if (type.name === "inet" || type.name === "cidr") return HEADER_BYTES + 18;
  if (type.modifier < 0) return null;
  switch (type.name) {
    case "varchar":
    case "bpchar":
      return bytesPerCharacter * (type.modifier - HEADER_BYTES) + HEADER_BYTES;
    case "bit":
    case "varbit":
      return Math.ceil(type.modifier / 8) + 2 * HEADER_BYTES;
    case "numeric": {
      const precision = ((type.modifier - HEADER_BYTES) >> 16) & 0xffff;
      return 2 * HEADER_BYTES + 2 * Math.floor((precision + 6) / 4);
    }
    default:
      return null;
  }
};
