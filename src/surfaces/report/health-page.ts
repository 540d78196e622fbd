import { type IndexStanding, isSpare } from "../../maintenance/index.ts";
import type { HealthReport, IndexHealth } from "../../pilot/index.ts";
import { quoteName } from "../../postgres/index.ts";
import { bloatPlot } from "./bloat-plot.ts";
import { bytesText, counted, dayText, minuteText, percent } from "./figures.ts";
import { reindexText, standingText } from "./health-text.ts";
import { type Content, html, Markup } from "./markup.ts";
import { style } from "./style.ts";
import { table } from "./table.ts";

/** What is shown of each kind, unless all is asked for; what is left out is counted on the page. */
const most = { plots: 30, rows: 200 } as const;

const code = (text: string): Markup => html`<code>${text}</code>`;
const sql = (text: string): Markup => html`<code class="sql">${text}</code>`;
/** What stands between backquotes is something to type. */
const prose = (text: string): Content => text.split("`").map((part, at) => (at % 2 === 1 ? code(part) : part));
const name = (one: { readonly schema: string; readonly name: string }): Markup => code(quoteName(one));
const bytesOf = (indexes: readonly IndexHealth[]): string =>
  bytesText(indexes.reduce((sum, { judgement }) => sum + judgement.sizeBytes, 0));
const wastedOf = (indexes: readonly IndexHealth[]): string =>
  bytesText(indexes.reduce((sum, { wastedBytes }) => sum + (wastedBytes ?? 0), 0));

/** What the page is made of, sorted once. */
interface Findings {
  readonly report: HealthReport;
  /** Those whose bloat is known, with most to give back first. */
  readonly shown: readonly IndexHealth[];
  readonly above: readonly IndexHealth[];
  /** Of those, what stays: what is redundant, unused or invalid should go rather than be rebuilt. */
  readonly due: readonly IndexHealth[];
  /** Will cross the threshold, as far as the forecast looks. */
  readonly coming: readonly IndexHealth[];
  readonly withheld: readonly IndexHealth[];
  /** What is not just used, under its heading. */
  readonly standings: readonly { readonly heading: string; readonly indexes: readonly IndexHealth[] }[];
  readonly limits: { readonly plots: number; readonly rows: number };
}

const standing = (report: HealthReport, ...standings: readonly IndexStanding[]): readonly IndexHealth[] =>
  report.indexes.filter(({ judgement }) => standings.includes(judgement.standing));

const isGoing = ({ judgement }: IndexHealth): boolean => isSpare(judgement.standing);

const sorted = (report: HealthReport, all: boolean): Findings => {
  const shown = report.indexes
    .filter(({ bloat }) => bloat.kind === "shown")
    .toSorted((a, b) => (b.wastedBytes ?? 0) - (a.wastedBytes ?? 0));
  const above = shown.filter(({ bloat }) => bloat.kind === "shown" && bloat.share >= report.threshold);
  return {
    report,
    shown,
    above,
    due: above.filter((one) => !isGoing(one)),
    coming: shown.filter(({ reindex }) => reindex?.kind === "later" && reindex.on !== null),
    withheld: report.indexes.filter(({ bloat }) => bloat.kind === "withheld" && bloat.code !== "too_small"),
    standings: standingText
      .map((one) => ({ heading: one.heading, indexes: standing(report, one.standing) }))
      .filter(({ indexes }) => indexes.length > 0),
    limits: all ? { plots: Number.POSITIVE_INFINITY, rows: Number.POSITIVE_INFINITY } : most,
  };
};

const leadOf = ({ report, above, due, coming }: Findings): string => {
  const limit = percent(report.threshold);
  const spare = above.length - due.length;
  return [
    above.length === 0
      ? `No index is known to be bloated above ${limit}.`
      : `${counted(above.length, "index is", "indexes are")} bloated above ${limit}: without the bloat ${bytesOf(above)} would be ${wastedOf(above)} less.`,
    ...(spare === 0 ? [] : [`${String(spare)} of them should go rather than be rebuilt.`]),
    ...(coming.length === 0
      ? []
      : [`${counted(coming.length, "more is", "more are")} forecast to cross it within 60 days.`]),
  ].join(" ");
};

const figures = ({ report, shown, due, withheld }: Findings): Markup => {
  const spare = report.indexes.filter(isGoing);
  const one = (title: string, value: string | number): Markup =>
    html`<div>
      <dt>${title}</dt>
      <dd>${value}</dd>
    </div> `;
  return html`<dl class="figures">
    ${one(`${counted(report.indexes.length, "index", "indexes")} in all`, bytesOf(report.indexes))}
    ${one("bloat that is known", wastedOf(shown))}
    ${one(`bloated above ${percent(report.threshold)}, to be rebuilt`, due.length)}
    ${one(`redundant, unused or invalid, ${bytesOf(spare)}`, spare.length)}
    ${one("foreign keys without an index", report.missingForeignKeyIndexes.length)}
    ${one("tables with stale statistics", report.staleStatistics.length)}
    ${one("bloat withheld, with the reason", withheld.length)}
    ${one("earlier forecasts within their interval", report.accuracy === null ? "–" : percent(report.accuracy.within / report.accuracy.due))}
  </dl> `;
};

/** What to do, most pressing first: what harms without any use, what gives back most, what makes others slow. */
const todo = ({ report, due }: Findings): Markup => {
  const items: Markup[] = [];
  const item = (what: Content, how: Content): void => {
    items.push(html`<li>${what}<span class="quiet">${how}</span></li> `);
  };
  const named = (indexes: readonly IndexHealth[]): Content => [
    ...indexes.slice(0, 3).flatMap(({ judgement }, at) => [at === 0 ? "" : ", ", name(judgement)]),
    indexes.length > 3 ? ` and ${String(indexes.length - 3)} more` : "",
  ];
  const invalid = standing(report, "invalid_ours", "invalid");
  if (invalid.length > 0) {
    item(
      html`<a href="#standing">Remove what a failed build left</a>: ${named(invalid)}`,
      html`writes pay for ${invalid.length === 1 ? "it" : "them"}, and no query can use
      ${invalid.length === 1 ? "it" : "them"}`,
    );
  }
  if (due.length > 0) {
    item(
      html`<a href="#bloat">Rebuild ${counted(due.length, "index", "indexes")}</a>: ${named(due)}`,
      html`gives back ${wastedOf(due)}: ${code("indexpilot maintain")} says which are worth it and, with
      ${code("--yes")}, rebuilds them concurrently`,
    );
  }
  const keys = report.missingForeignKeyIndexes.filter(({ parentDeletes }) => parentDeletes > 0);
  if (keys.length > 0) {
    item(
      html`<a href="#foreign-keys">Index ${counted(keys.length, "foreign key")}</a> whose parents lose rows`,
      "each deleted row reads the whole table that references it",
    );
  }
  const spare = standing(report, "redundant", "unused");
  if (spare.length > 0) {
    item(
      html`<a href="#standing">Drop ${counted(spare.length, "index", "indexes")} that nothing needs</a>: ${named(spare)}`,
      html`${bytesOf(spare)}, and every write keeps them up; ${code("indexpilot maintain --yes")} asks the planner about
      each statement and proposes what none needs, ${code("indexpilot approve NAME")} lets it go`,
    );
  }
  if (report.staleStatistics.length > 0) {
    item(
      html`<a href="#statistics">Analyse ${counted(report.staleStatistics.length, "table")}</a>`,
      "the planner and this report go by what they were",
    );
  }
  if (items.length === 0) return html`<p>Nothing has to be done.</p>`;
  return html`<ol class="todo">
    ${items}
  </ol>`;
};

const dueText = (one: IndexHealth): string =>
  isGoing(one)
    ? `it is ${one.judgement.standing.replace("_ours", "")}, and should go rather than be rebuilt`
    : reindexText(one);

const bar = (share: number, threshold: number): Markup =>
  html`<svg class="bar" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">
    <rect class="all" y="2" width="100" height="8" />
    <rect class="part" y="2" width="${(100 * share).toFixed(1)}" height="8" />
    <rect class="mark" x="${(100 * threshold - 1.5).toFixed(1)}" width="3" height="12" />
  </svg>`;

/** An index, and its table where the name does not say. */
const subject = ({ judgement }: IndexHealth): Markup =>
  html`${name(judgement)}<br /><span class="quiet">on ${quoteName(judgement.table)}</span>`;

const bloatTable = ({ report, shown, limits }: Findings): Markup => {
  if (shown.length === 0) return html`<p>Of no index the bloat is known.</p>`;
  return table(
    `Indexes whose bloat is known, those with most to give back first. The mark in each bar is the threshold of ${percent(report.threshold)}.`,
    [
      { title: "index" },
      { title: "size", numeric: true },
      { title: "bloat" },
      { title: "a rebuild gives back", numeric: true },
      { title: "a rebuild is due" },
    ],
    shown.slice(0, limits.rows).map((one) => {
      const { bloat, judgement, wastedBytes, reindex } = one;
      if (bloat.kind === "withheld") return [];
      const due = dueText(one);
      return [
        subject(one),
        bytesText(judgement.sizeBytes),
        html`<span${bloat.share >= report.threshold ? html` class="bad"` : null}>${percent(bloat.share)}</span> <span class="quiet">${bloat.method}${percent(bloat.low) === percent(bloat.high) ? "" : `, ${percent(bloat.low)} to ${percent(bloat.high)}`}</span>${bar(bloat.share, report.threshold)}`,
        bytesText(wastedBytes ?? 0),
        reindex?.kind === "now" && !isGoing(one) ? html`<span class="bad">${due}</span>` : due === "" ? "–" : due,
      ];
    }),
  );
};

const key = html`<ul class="key" aria-label="Legend of the plots">
  <li>
    <svg class="plot" viewBox="0 0 30 12" aria-hidden="true">
      <path class="seen" d="M0 6H30" />
      <circle cx="15" cy="6" r="2" /></svg
    >seen
  </li>
  <li>
    <svg class="plot" viewBox="0 0 30 12" aria-hidden="true"><path class="forecast" d="M0 6H30" /></svg>forecast
  </li>
  <li>
    <svg class="plot" viewBox="0 0 30 12" aria-hidden="true"><path class="interval" d="M0 0H30V12H0Z" /></svg>its 95 %
    interval
  </li>
  <li>
    <svg class="plot" viewBox="0 0 30 12" aria-hidden="true"><path class="threshold" d="M0 6H30" /></svg>threshold
  </li>
  <li>
    <svg class="plot" viewBox="0 0 30 12" aria-hidden="true"><path class="crossing" d="M0 6H30" /></svg>days in which it
    is crossed
  </li>
  <li>
    <svg class="plot" viewBox="0 0 30 12" aria-hidden="true"><path class="earlier" d="M15 1V11M13 6h4" /></svg>what was
    forecast for that day
  </li>
</ul> `;

const card = (one: IndexHealth, report: HealthReport, id: string): Markup => {
  const { judgement, bloat, forecast, history, wastedBytes } = one;
  const text = quoteName(judgement);
  const last = forecast?.kind === "forecast" ? forecast.at.at(-1) : undefined;
  const due = dueText(one);
  return html`<article class="card">
    <h3>${code(text)}</h3>
    <p class="quiet">
      on ${quoteName(judgement.table)},
      ${bytesText(judgement.sizeBytes)}${wastedBytes === null ? "" : `, a rebuild would give back ${bytesText(wastedBytes)}`}
    </p>
    ${bloatPlot(one, text, report.threshold, report.at, id)}
    <p>
      ${bloat.kind === "shown" ? html`<strong>${percent(bloat.share)}</strong> now` : "withheld now"}${last === undefined ? null : html`, <strong>${percent(last.value)}</strong> in ${counted(report.aheadDays, "day")} (${percent(last.low)} to ${percent(last.high)})`}.${due === "" ? null : html` Rebuild: ${due}.`}
    </p>
    <details>
      <summary>Numbers</summary>
      ${table(
        `Seen since the file was last rewritten${forecast?.kind === "forecast" ? `, and forecast (${forecast.model}${forecast.pastError === null ? "" : `; it would have missed the past by ${(100 * forecast.pastError).toFixed(1)} points in the mean`})` : ""}`,
        [{ title: "day" }, { title: "bloat", numeric: true }, { title: "95 % interval", numeric: true }],
        [
          ...history.map(({ at, share }): Content[] => [minuteText(at), percent(share), ""]),
          ...(forecast?.kind === "forecast" ? forecast.at : []).map(({ at, value, low, high }): Content[] => [
            `${dayText(at)}, forecast`,
            percent(value),
            `${percent(low)} to ${percent(high)}`,
          ]),
        ],
      )}
    </details>
  </article> `;
};

/** Whether a day or more of it was seen. */
const hasPast = ({ history }: IndexHealth): boolean => {
  const [first, last] = [history[0], history.at(-1)];
  return first !== undefined && last !== undefined && last.at.getTime() - first.at.getTime() >= 86_400_000;
};

const plots = ({ report, shown, limits }: Findings): Markup => {
  const plotted = shown.filter(hasPast);
  if (plotted.length === 0) {
    return html`<p>
      There is nothing to plot yet: a look a day, by ${code("indexpilot health --record")} or ${code("indexpilot run")},
      shows how bloat goes on, and after eight looks over three days where it goes.
    </p>`;
  }
  const left = plotted.length - limits.plots;
  return html`<h3>Over time</h3>
    ${key}
    <div class="cards">
      ${plotted.slice(0, limits.plots).map((one, at) => card(one, report, `plot-${String(at + 1)}`))}
    </div>
    ${left > 0 ? html`<p class="quiet">${counted(left, "more index has", "more indexes have")} a history and less to give back: ${code("--all")} plots them, too.</p>` : null} `;
};

const withheldTable = ({ withheld, limits }: Findings): Markup =>
  withheld.length === 0
    ? html`<p>Nothing: of every index that is large enough to matter, the bloat is known.</p>`
    : html`<p>A figure that may be off by more than five points is not shown.</p>
        ${table(
          "Indexes whose bloat is not shown, and what would make it known",
          [
            { title: "index" },
            { title: "size", numeric: true },
            { title: "why" },
            { title: "what would make it known" },
          ],
          withheld
            .slice(0, limits.rows)
            .map((one) =>
              one.bloat.kind === "shown"
                ? []
                : [subject(one), bytesText(one.judgement.sizeBytes), one.bloat.reason, prose(one.bloat.remedy)],
            ),
        )}`;

const standingTables = ({ standings, limits }: Findings): Content =>
  standings.length === 0
    ? html`<p>Every index is used, or guarantees something.</p>`
    : standings.map(({ heading, indexes }) =>
        table(
          html`<strong>${heading}</strong>: ${counted(indexes.length, "index", "indexes")}, ${bytesOf(indexes)}`,
          [{ title: "index" }, { title: "size", numeric: true }, { title: "why" }, { title: "what to do" }],
          indexes
            .slice(0, limits.rows)
            .map((one) => [
              subject(one),
              bytesText(one.judgement.sizeBytes),
              prose(one.judgement.reason),
              one.judgement.remedy === null ? "–" : sql(one.judgement.remedy),
            ]),
        ),
      );

const foreignKeys = ({ report: { missingForeignKeyIndexes: keys }, limits }: Findings): Markup =>
  keys.length === 0
    ? html`<p>Every foreign key has one.</p>`
    : table(
        "Foreign keys that no index of their table serves: deleting from the parent reads the whole table",
        [
          { title: "foreign key" },
          { title: "parent" },
          { title: "rows deleted there", numeric: true },
          { title: "to read for each", numeric: true },
          { title: "what to do" },
        ],
        keys
          .slice(0, limits.rows)
          .map((one) => [
            html`${code(one.constraint)}<br /><span class="quiet"
                >${quoteName(one.table)} (${one.columns.join(", ")})</span
              >`,
            name(one.parent),
            one.parentDeletes,
            bytesText(one.tableBytes),
            sql(one.remedy),
          ]),
      );

const statistics = ({ report: { staleStatistics }, limits }: Findings): Markup =>
  staleStatistics.length === 0
    ? html`<p>None is stale.</p>`
    : table(
        "Tables whose statistics say too little about what is in them now",
        [{ title: "table" }, { title: "changed since the last ANALYZE", numeric: true }, { title: "what to do" }],
        staleStatistics
          .slice(0, limits.rows)
          .map((one) => [
            name(one.table),
            one.changedShare === null ? "no ANALYZE is known" : `${percent(one.changedShare)} of the rows`,
            sql(one.remedy),
          ]),
      );

const rebuilds = ({ report, limits }: Findings): Markup =>
  report.rebuilt.length === 0
    ? html`<p>None by IndexPilot in the last 100 days.</p>`
    : table(
        "Rebuilds of the last 100 days, the latest first: predicted when it was decided, measured after",
        [
          { title: "index" },
          { title: "when" },
          { title: "before", numeric: true },
          { title: "predicted", numeric: true },
          { title: "after", numeric: true },
          { title: "prediction off by", numeric: true },
        ],
        report.rebuilt
          .toReversed()
          .slice(0, limits.rows)
          .map(({ index, table: { schema }, at, bytesBefore, bytesPredicted, bytesAfter, predictionError }) => [
            name({ schema, name: index }),
            minuteText(at),
            bytesText(bytesBefore),
            bytesPredicted === null ? "–" : bytesText(bytesPredicted),
            bytesText(bytesAfter),
            predictionError === null ? "–" : `${(100 * predictionError).toFixed(1)} %`,
          ]),
      );

const accuracy = ({ report, shown, limits }: Findings): Markup => {
  if (report.accuracy === null) {
    return html`<p>
      No forecast was due yet: each look that is recorded says what it expects in ${counted(report.aheadDays, "day")},
      and is compared then with what came.
    </p>`;
  }
  const { due, within, meanError } = report.accuracy;
  const missed = shown.flatMap((one) =>
    one.earlierForecasts
      .filter(({ low, high, achieved }) => achieved < low || achieved > high)
      .map((due) => ({ one, due })),
  );
  const told = html`<p>
    Of ${counted(due, "forecast")} that came due in the last 35 days,
    <strong>${within}</strong> (${percent(within / due)}) were within their 95 % interval; they were
    ${(100 * meanError).toFixed(1)} points off in the mean. The plots show each beside what came.
  </p>`;
  if (missed.length === 0) return told;
  return html`${told}
  ${table(
    "Forecasts that missed their interval",
    [
      { title: "index" },
      { title: "made on" },
      { title: "for" },
      { title: "forecast", numeric: true },
      { title: "95 % interval", numeric: true },
      { title: "came", numeric: true },
    ],
    missed
      .slice(0, limits.rows)
      .map(({ one, due }) => [
        name(one.judgement),
        dayText(due.madeAt),
        dayText(due.dueAt),
        percent(due.value),
        `${percent(due.low)} to ${percent(due.high)}`,
        percent(due.achieved),
      ]),
  )}`;
};

const sections: readonly {
  readonly id: string;
  readonly title: string;
  readonly of: (findings: Findings) => Content;
}[] = [
  { id: "todo", title: "What to do first", of: todo },
  { id: "bloat", title: "Bloat", of: (findings) => [bloatTable(findings), plots(findings)] },
  { id: "withheld", title: "Bloat that is withheld", of: withheldTable },
  { id: "standing", title: "Indexes that may go, and others to look at", of: standingTables },
  { id: "foreign-keys", title: "Foreign keys without an index", of: foreignKeys },
  { id: "statistics", title: "Stale statistics", of: statistics },
  { id: "rebuilds", title: "Rebuilds done", of: rebuilds },
  { id: "accuracy", title: "How earlier forecasts did", of: accuracy },
];

/** What is longer than the page shows. */
const leftOut = ({ report, shown, withheld, standings, limits }: Findings): Markup | null => {
  const longest = Math.max(
    ...[
      shown,
      withheld,
      ...standings.map(({ indexes }) => indexes),
      report.missingForeignKeyIndexes,
      report.staleStatistics,
      report.rebuilt,
    ].map((list) => list.length),
  );
  return longest <= limits.rows
    ? null
    : html`<p>
        Each table shows ${limits.rows} rows at most; the longest would have ${longest}: ${code("--all")} shows them.
      </p>`;
};

/**
 * The health of the indexes as one HTML page that needs nothing else: no script, no network. Readable on a phone, on paper, light and dark.
 * @param all every index, not only {@link most}
 */
export const healthPage = (report: HealthReport, all: boolean): string => {
  const findings = sorted(report, all);
  const { database, systemIdentifier } = report.server;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'" />
        <title>Indexes of ${database}, ${dayText(report.at)}</title>
        <style>
          ${new Markup(style)}
        </style>
      </head>
      <body>
        <header>
          <h1>Indexes of ${code(database)}</h1>
          <p class="quiet">
            As they were at <time datetime="${report.at.toISOString()}">${minuteText(report.at)}</time>; server
            ${systemIdentifier}.
          </p>
          <p class="lead">${leadOf(findings)}</p>
          ${figures(findings)}
          <nav aria-label="Sections">
            <ul>
              ${sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)}
            </ul>
          </nav>
        </header>
        <main>
          ${sections.map(
            ({ id, title, of }) =>
              html`<section id="${id}" aria-labelledby="${id}-title">
                <h2 id="${id}-title">${title}</h2>
                ${of(findings)}
              </section> `,
          )}
        </main>
        <footer>
          ${leftOut(findings)}
          <p>
            Bloat is what a rebuild would take away: 1 − (size that the live entries need at the index's fillfactor) /
            size; growth of the data is none. By <em>statistics</em>: from the planner's; <em>measured</em>: its keys
            were counted; <em>baseline</em>: by its own size after its last rebuild. Forecasts are of what was seen
            since the file was last rewritten; their intervals are to hold for 95 of 100 days.
          </p>
          <p>
            Sizes are in powers of ten, times UTC. ${code("indexpilot health --json")} has the same numbers for
            programs, unrounded; looks and forecasts are in ${code("indexpilot.index_sample")} and
            ${code("indexpilot.index_forecast")}, rebuilds in
            ${code("indexpilot.deployment")}.${report.recorded ? null : " This look was not recorded."}
          </p>
        </footer>
      </body>
    </html> `.toString();
};
