import { type Random } from "../../src/runtime/index.ts";

/** A table of the made-up database. */
export interface MadeTable {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: number;
  /** Position of the table that its `parent_id` refers to. */
  readonly parent: number | null;
  readonly partitions: number;
}

const schemas = ["app", "billing", "crm", "stock"];
const nouns = ["order", "invoice", "customer", "item", "event", "payment", "address", "price", "ticket", "session"];
const further: readonly { readonly name: string; readonly type: string }[] = [
  { name: "status", type: "text" },
  { name: "kind", type: "integer" },
  { name: "amount", type: "numeric(12,2)" },
  { name: "created_at", type: "timestamptz" },
  { name: "updated_at", type: "timestamptz" },
  { name: "email", type: "text" },
  { name: "country", type: "text" },
  { name: "score", type: "double precision" },
  { name: "is_active", type: "boolean" },
  { name: "starts_on", type: "date" },
  { name: "note", type: "text" },
];

/** As many rows as the largest has; the n-th table has a share that falls with n. */
const mostRows = 40_000;
const fewestRows = 20;

export const makeTables = (count: number, random: Random): readonly MadeTable[] =>
  Array.from({ length: count }, (_, n): MadeTable => {
    const picked = further.filter(() => random() < 0.6);
    const parent = n > 0 && random() < 0.4 ? Math.floor(random() * n) : null;
    return {
      schema: schemas[n % schemas.length] ?? "app",
      name: `${nouns[Math.floor(random() * nouns.length)] ?? "thing"}_${String(n)}`,
      columns: [
        { name: "id", type: "bigint" },
        { name: "tenant_id", type: "integer" },
        { name: "parent_id", type: "bigint" },
        ...picked,
      ],
      rows: Math.max(fewestRows, Math.round(mostRows / (1 + n / 4))),
      parent,
      partitions: random() < 0.01 ? 4 : 0,
    };
  });

const values: Readonly<Record<string, string>> = {
  bigint: "(random() * 1000)::bigint",
  integer: "(random() * 50)::integer",
  text: "md5((random() * 500)::integer::text)",
  "numeric(12,2)": "random() * 1000",
  timestamptz: "timestamptz '2024-01-01' + random() * interval '1 year'",
  date: "date '2024-01-01' + (random() * 365)::integer",
  boolean: "random() < 0.9",
  "double precision": "random()",
};

export const nameOf = ({ schema, name }: MadeTable): string => `${schema}.${name}`;

/** Makes, fills and indexes one table. */
export const setupOf = (table: MadeTable, all: readonly MadeTable[]): string => {
  const name = nameOf(table);
  const key = table.partitions > 0 ? "" : " primary key";
  const columns = table.columns.map((one) => `${one.name} ${one.type}${one.name === "id" ? key : ""}`).join(", ");
  const parts = Array.from(
    { length: table.partitions },
    (_, i) =>
      `create table ${name}_p${String(i)} partition of ${name} for values with (modulus ${String(table.partitions)}, remainder ${String(i)})`,
  );
  const parent = table.parent === null ? undefined : all[table.parent];
  return [
    `create table ${name} (${columns})${table.partitions > 0 ? " partition by hash (id)" : ""}`,
    ...parts,
    `insert into ${name} select g, ${table.columns
      .slice(1)
      .map((one) => values[one.type] ?? "null")
      .join(", ")} from generate_series(1, ${String(table.rows)}) g`,
    ...(table.partitions > 0 ? [`create index on ${name} (id)`] : []),
    `create index on ${name} (tenant_id)`,
    ...(parent === undefined || parent.partitions > 0
      ? []
      : [
          `alter table ${name} add constraint ${table.name}_parent foreign key (parent_id) references ${nameOf(parent)} not valid`,
        ]),
  ].join("; ");
};

export const schemaNames = schemas;
