import { beforeAll, describe, expect, it } from "vitest";
import type { RowCondition, RowExpression } from "../../src/domain/index.ts";
import { analyseAccess, loadParser, parseStatement, type TableLookup } from "../../src/sql/index.ts";

const columns = ["id", "email", "data", "tags", "active", "deleted_at", "created", "status"];
const lookup: TableLookup = (_, name) => ({
  schema: "app",
  name,
  columns: name === "t" ? columns : ["id", "t_id", "note"],
});

beforeAll(loadParser);

const text = (expression: RowExpression): string => {
  switch (expression.kind) {
    case "column":
      return expression.column;
    case "constant":
      return expression.type === "text" ? `'${expression.value}'` : expression.value;
    case "parameter":
      return "$";
    case "cast":
      return `${text(expression.argument)}::${expression.type}`;
    case "operator":
      return `(${text(expression.left)} ${expression.operator} ${text(expression.right)})`;
    case "call":
      return `${expression.name}(${expression.arguments.map(text).join(", ")})`;
  }
};

const shown = ({ subject, operator, operands, joined }: RowCondition): string =>
  `${text(subject)} ${operator} ${operands === null ? "?" : operands.map(text).join(", ")}${joined ? " joined" : ""}`.trim();

const conditions = (sql: string): readonly string[] => {
  const parsed = parseStatement(sql);
  if (parsed.kind === "unparsable") throw new Error(parsed.message);
  return analyseAccess(parsed.statement, lookup).accesses.flatMap((access) =>
    (access.conditions ?? []).map((condition) => `${access.alias}: ${shown(condition)}`),
  );
};

describe("what a WHERE asks of each row", () => {
  it.each<[string, readonly string[]]>([
    ["status = 'open' and 3 < id", ["t: status = 'open'", "t: id > 3"]],
    ["status = $1", ["t: status = ?"]],
    ["status in ('a', 'b')", ["t: status in 'a', 'b'"]],
    ["id = any ($1)", ["t: id in ?"]],
    ["created between $1 and now()", ["t: created between ?"]],
    ["deleted_at is null and status is not null", ["t: deleted_at is null", "t: status is not null"]],
    ["active and not active and active is true", ["t: active is true", "t: active is false", "t: active is true"]],
    ["lower(email) = lower($1)", ["t: lower(email) = ?"]],
    ["data ->> 'kind' = 'a'", ["t: (data ->> 'kind') = 'a'"]],
    ["data ->> $1 = $2", ["t: (data ->> $) = ?"]],
    ["(data ->> 'n')::int = 5", ["t: (data ->> 'n')::int4 = 5"]],
    ["data @> '{\"a\": 1}'", ["t: data @> '{\"a\": 1}'"]],
    ["tags && array['x']", ["t: tags && ?"]],
    ["array['x'] <@ tags", ["t: tags @> ?"]],
    ["email like '%x%' and email ilike $1", ["t: email ~~ '%x%'", "t: email ~~* ?"]],
    ["to_tsvector('english', email) @@ to_tsquery($1)", ["t: to_tsvector('english', email) @@ ?"]],
    ["st_dwithin(data, $1, 100)", ["t: st_dwithin(data) call ?"]],
    ["coalesce(status, 'none') = 'none'", ["t: coalesce(status, 'none') = 'none'"]],
  ])("%s", (condition, expected) => {
    expect(conditions(`select * from t where ${condition}`)).toEqual(expected);
  });

  it.each<[string, string]>([
    ["an OR, which no single condition decides", "status = 'a' or id = 1"],
    ["a comparison within the row", "created < deleted_at"],
    ["a cast that cuts", "email::varchar(3) = 'abc' and false"],
  ])("nothing for %s", (_, condition) => {
    expect(conditions(`select * from t where ${condition}`).filter((one) => one.startsWith("t:"))).not.toContainEqual(
      expect.stringMatching(/status|created|email/),
    );
  });

  it("a condition on the side that an outer join keeps whole removes none of its rows", () => {
    expect(conditions("select * from t left join o on o.t_id = t.id and t.status = 'a' and o.note = 'b'")).toEqual([
      "t: id = ? joined",
      "o: t_id = ? joined",
      "o: note = 'b'",
    ]);
  });

  it("updates and deletes have conditions as well", () => {
    expect(conditions("update t set status = 'x' where deleted_at is null")).toEqual(["t: deleted_at is null"]);
    expect(conditions("delete from t where lower(email) = $1")).toEqual(["t: lower(email) = ?"]);
  });
});
