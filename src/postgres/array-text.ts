/**
 * The elements of a one-dimensional array in PostgreSQL's text form (`array_out`), as in `pg_stats.histogram_bounds`: `{1,"a \"b\", c",NULL}`.
 * NULL elements are left out. An explicit lower bound (`[0:2]={…}`) is skipped. Statistics of array columns are arrays of arrays; their
 * elements come back as array texts.
 */
export const arrayElements = (text: string): readonly string[] => {
  const open = text.indexOf("{");
  if (open < 0 || !text.endsWith("}")) return [];
  const elements: string[] = [];
  let i = open + 1;
  while (i < text.length - 1) {
    const [element, next] = readElement(text, i);
    if (element !== null) elements.push(element);
    // Past the comma.
    i = next + 1;
  }
  return elements;
};

const readElement = (text: string, start: number): readonly [string | null, number] => {
  if (text[start] === '"') {
    let value = "";
    let i = start + 1;
    for (; i < text.length && text[i] !== '"'; i += 1) {
      if (text[i] === "\\") i += 1;
      value += text[i] ?? "";
    }
    return [value, i + 1];
  }
  if (text[start] === "{") return readNested(text, start);
  let i = start;
  let value = "";
  for (; i < text.length - 1 && text[i] !== ","; i += 1) {
    if (text[i] === "\\") i += 1;
    value += text[i] ?? "";
  }
  return [/^null$/i.test(value) ? null : value, i];
};

const readNested = (text: string, start: number): readonly [string, number] => {
  let depth = 0;
  let quoted = false;
  for (let i = start; i < text.length; i += 1) {
    const character = text[i];
    if (character === "\\") i += 1;
    else if (character === '"') quoted = !quoted;
    else if (!quoted && character === "{") depth += 1;
    else if (!quoted && character === "}") {
      depth -= 1;
      if (depth === 0) return [text.slice(start, i + 1), i + 1];
    }
  }
  return [text.slice(start), text.length];
};

/** The text form of an array of these elements; every element is quoted, which every type accepts. */
export const arrayText = (elements: readonly string[]): string =>
  `{${elements.map((element) => `"${element.replaceAll(/["\\]/g, String.raw`\$&`)}"`).join(",")}}`;
