import type { IndexStanding } from "../../src/maintenance/index.ts";
import type { Random } from "../../src/runtime/index.ts";

/** What our looks of the past say: nothing ever scanned it for 45 days or 20, a scan a month, or that there were none. */
export type Past = "quiet" | "quiet for 20 days" | "once a month" | "none";

export interface Animal {
  readonly kind: string;
  readonly index: string;
  readonly table: string;
  readonly expected: IndexStanding;
  /** Words that the reason has to have. */
  readonly because: string;
  readonly past: Past;
  /** Where it is really scanned. */
  readonly scannedOn?: "primary" | "standby";
  /** A statement that is left running or ends with an error, instead of part of the set-up. */
  readonly begins?: { readonly kind: "blocked" | "failing"; readonly sql: string };
  /** Whether our store knows it as a build of ours. */
  readonly ours?: boolean;
}

export interface Zoo {
  readonly setup: readonly string[];
  readonly animals: readonly Animal[];
  /** The table on which a writer holds up a build. */
  readonly blockedTable: string;
}

const syllables = ["ka", "lo", "mi", "nu", "per", "sol", "tra", "vi", "zen", "qua", "Ö", "x y"];

/** The same kinds each time; names, sizes and order are drawn. */
export const makeZoo = (random: Random): Zoo => {
  const word = (): string =>
    Array.from({ length: 3 }, () => syllables[Math.floor(random() * syllables.length)] ?? "").join("");
  let serial = 0;
  const name = (): string => `${word()}_${String((serial += 1))}`;
  const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
  const setup: string[] = [];
  const animals: Animal[] = [];
  let blockedTable = "";

  interface Plan {
    readonly kind: string;
    readonly expected: IndexStanding;
    readonly because: string;
    readonly sql: (index: string, table: string) => string;
    readonly past?: Past;
    readonly more?: Partial<Animal>;
  }
  /** One table with the indexes of one situation. */
  const house = (plans: readonly Plan[], extra: (table: string) => string = () => ""): void => {
    const table = name();
    const rows = 500 + Math.floor(4000 * random());
    const q = quoted(table);
    const parts = [
      `create table ${q} (id int not null, a int, b int, t text, v text not null, during int4range);
       insert into ${q} select n, n % 50, n % 7, 't' || n, 'v' || n, int4range(n, n + 1) from generate_series(1, ${String(rows)}) n; ${extra(q)}`,
    ];
    for (const { kind, expected, because, sql, past, more } of plans) {
      const index = name();
      const statement = sql(quoted(index), q);
      if (more?.begins === undefined) parts.push(statement);
      if (more?.begins?.kind === "blocked") blockedTable = q;
      const begins = more?.begins === undefined ? {} : { begins: { ...more.begins, sql: statement } };
      animals.push({ kind, index, table, expected, because, past: past ?? "quiet", ...more, ...begins });
    }
    setup.push(parts.join(";\n"));
  };
  const on = (columns: string) => (index: string, table: string) => `create index ${index} on ${table} ${columns}`;
  const unused = (kind: string, columns: string): Plan => ({
    kind,
    expected: "unused",
    because: "not scanned for",
    sql: on(columns),
  });
  const guarded = (kind: string, because: string, sql: Plan["sql"]): Plan => ({
    kind,
    expected: "guarantee",
    because,
    sql,
  });
  const redundant = (kind: string, columns: string): Plan => ({
    kind,
    expected: "redundant",
    because: "columns",
    sql: on(columns),
  });
  const late = (
    kind: string,
    expected: IndexStanding,
    because: string,
    begins: "blocked" | "failing",
    sql: Plan["sql"],
    ours = false,
  ): Plan => ({
    kind,
    expected,
    because,
    sql,
    past: "none",
    more: { begins: { kind: begins, sql: "" }, ours },
  });

  const houses: (() => void)[] = [
    () => house([unused("unused", "(a)")]),
    () => house([unused("unused, partial", "(a) where b = 3")]),
    () => house([unused("unused, expression", "(lower(t))")]),
    () =>
      house([
        {
          ...unused("used here", "(a)"),
          expected: "used",
          because: "scanned on primary",
          more: { scannedOn: "primary" },
        },
      ]),
    () =>
      house([
        {
          ...unused("used on the standby only", "(a)"),
          expected: "used",
          because: "scanned on localhost",
          more: { scannedOn: "standby" },
        },
      ]),
    () =>
      house([
        {
          ...unused("used once a month", "(a)"),
          expected: "used",
          because: "scanned on primary",
          past: "once a month",
          more: { scannedOn: "primary" },
        },
      ]),
    () =>
      house([
        {
          ...unused("watched for 20 days", "(a)"),
          expected: "unused_not_proved",
          because: "days over a month",
          past: "quiet for 20 days",
        },
      ]),
    () =>
      house([{ ...unused("new", "(b)"), expected: "unused_not_proved", because: "days over a month", past: "none" }]),
    () =>
      house([guarded("primary key", "primary key", (i, t) => `alter table ${t} add constraint ${i} primary key (id)`)]),
    () => house([guarded("unique index", "uniqueness", (i, t) => `create unique index ${i} on ${t} (id)`)]),
    () =>
      house([
        guarded("unique index that another repeats", "uniqueness", (i, t) => `create unique index ${i} on ${t} (id)`),
        redundant("repeats a unique index", "(id)"),
      ]),
    () =>
      house([
        guarded(
          "unique constraint",
          "enforces the constraint",
          (i, t) => `alter table ${t} add constraint ${i} unique (id)`,
        ),
      ]),
    () =>
      house([
        guarded(
          "exclusion constraint",
          "exclusion",
          (i, t) => `alter table ${t} add constraint ${i} exclude using gist (during with &&)`,
        ),
      ]),
    () =>
      house([
        guarded(
          "replica identity",
          "",
          (i, t) => `create unique index ${i} on ${t} (v); alter table ${t} replica identity using index ${i}`,
        ),
      ]),
    () =>
      house([
        guarded("clustered", "clustered", (i, t) => `create index ${i} on ${t} (b); alter table ${t} cluster on ${i}`),
      ]),
    () =>
      house([
        guarded(
          "owned by an extension",
          "extension",
          (i, t) => `create index ${i} on ${t} (a); alter extension pg_trgm add table ${t}`,
        ),
      ]),
    () =>
      house([
        unused("one of two equal ones", "(a, b)"),
        redundant("the other, which takes more room", "(a, b) with (fillfactor = 40)"),
      ]),
    () => house([redundant("the first keys of a longer one", "(a)"), unused("the longer one", "(a, b)")]),
    () => house([redundant("the same with INCLUDE offers more", "(a)"), unused("INCLUDE", "(a) include (b)")]),
    () => house([unused("text", "(t)"), unused("the same column with another operator class", "(t text_pattern_ops)")]),
    () =>
      house([unused("text, again", "(t)"), unused("the same column with another collation", '(t collate "POSIX")')]),
    () =>
      house([
        unused("one predicate", "(a) where b = 1"),
        unused("the same column with another predicate", "(a) where b = 2"),
      ]),
    () =>
      house([
        unused("one payload", "(a) include (b)"),
        unused("the same column with another payload", "(a) include (id)"),
      ]),
    () => house([unused("both ascending", "(a, b)"), unused("the same columns in another order", "(b, a)")]),
    () => house([unused("ascending", "(a, b)"), unused("the same columns, one descending", "(a, b desc)")]),
    () => house([unused("nulls last", "(a)"), unused("nulls first", "(a nulls first)")]),
    () => house([unused("B-tree", "(a)"), unused("the same column, hash", "using hash (a)")]),
    () => house([unused("an expression", "(lower(t))"), redundant("the same expression again", "(lower(t))")]),
    () =>
      house([
        late(
          "left half built by others",
          "invalid",
          "half done",
          "failing",
          (i, t) => `create unique index concurrently ${i} on ${t} (b)`,
        ),
      ]),
    () =>
      house([
        late(
          "left half built by us",
          "invalid_ours",
          "of ours",
          "failing",
          (i, t) => `create unique index concurrently ${i} on ${t} (b)`,
          true,
        ),
      ]),
    () =>
      house([
        late("being built", "being_built", "now", "blocked", (i, t) => `create index concurrently ${i} on ${t} (a)`),
      ]),
    () => {
      const [parent, index] = [name(), name()];
      const [p, i] = [quoted(parent), quoted(index)];
      setup.push(`create table ${p} (a int) partition by range (a); create table ${quoted(`${parent}_1`)} partition of ${p} for values from (0) to (100);
        insert into ${p} select n % 100 from generate_series(1, 500) n; create index ${i} on ${p} (a)`);
      animals.push({
        kind: "a partition's part",
        index: `${parent}_1_a_idx`,
        table: `${parent}_1`,
        expected: "guarantee",
        because: "partition",
        past: "quiet",
      });
    },
  ];
  const order = houses.map((make) => ({ make, at: random() })).toSorted((a, b) => a.at - b.at);
  for (const { make } of order) make();
  return { setup, animals, blockedTable };
};
