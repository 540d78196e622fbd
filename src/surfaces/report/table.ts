import { type Content, html, type Markup } from "./markup.ts";

export interface Column {
  readonly title: string;
  readonly numeric?: boolean;
}

/**
 * A table with a caption. On a narrow screen each row becomes a block that names its cells; the roles keep it a table for those who do not see it. The first cell
 * heads its row.
 */
export const table = (caption: Content, columns: readonly Column[], rows: readonly (readonly Content[])[]): Markup =>
  html`<table role="table">
    <caption>
      ${caption}
    </caption>
    <thead role="rowgroup">
      <tr role="row">
        ${columns.map(({ title, numeric }) => html`<th role="columnheader" scope="col" ${classOf(numeric)}>${title}</th>`)}
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${rows.map(
        (cells) =>
          html`<tr role="row">
            ${cells.map((cell, at) => cellOf(cell, columns[at], at === 0))}
          </tr> `,
      )}
    </tbody>
  </table> `;

const classOf = (numeric: boolean | undefined): Markup | null => (numeric === true ? html` class="number"` : null);

const cellOf = (cell: Content, column: Column | undefined, heads: boolean): Markup => {
  const title = column?.title ?? "";
  if (heads) return html`<th role="rowheader" scope="row">${cell}</th>`;
  return html`<td role="cell" data-title="${title}" ${classOf(column?.numeric)}><div>${cell}</div></td>`;
};
