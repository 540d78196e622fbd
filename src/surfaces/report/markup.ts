/** A piece of HTML in which everything that came from elsewhere is escaped. Only {@link html} makes one. */
export class Markup {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

export type Content = string | number | Markup | readonly Content[] | null;

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Control characters may be in an identifier and not in HTML: Unicode's pictures of them stand in. */
const pictureOf = (control: string): string => {
  const code = control.codePointAt(0) ?? 0;
  return code < 0x20 ? String.fromCodePoint(0x24_00 + code) : "\ufffd";
};

const escaped = (text: string): string =>
  text
    .replaceAll(/[&<>"']/g, (one) => entities[one] ?? "")
    .replaceAll(/[^\P{Cc}\t\n]|\p{Noncharacter_Code_Point}/gu, pictureOf);

const rendered = (content: Content): string => {
  if (content === null) return "";
  if (content instanceof Markup) return content.toString();
  return typeof content === "object" ? content.map(rendered).join("") : escaped(String(content));
};

/** Markup from a template: what is filled in is escaped, as text or as the value of an attribute in double quotes; lists follow one another; null is nothing. */
export const html = (fixed: TemplateStringsArray, ...filled: readonly Content[]): Markup =>
  new Markup(fixed.map((text, at) => text + rendered(filled[at] ?? null)).join(""));
