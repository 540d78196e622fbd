import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { arrayElements, arrayText } from "../../src/postgres/index.ts";
import { searchPathNames, settingFor } from "../../src/workload/search-path.ts";
import { ascendingValues, drawValue, guessedValue, readableAs } from "../../src/workload/values.ts";

describe("array texts of pg_stats", () => {
  it.each<[string, readonly string[]]>([
    ["{}", []],
    ["{1,2,3}", ["1", "2", "3"]],
    ['{a,"b c","d,e","{f}","g\\"h","i\\\\j",""}', ["a", "b c", "d,e", "{f}", 'g"h', "i\\j", ""]],
    ['{NULL,"NULL",null}', ["NULL"]],
    ["[0:1]={5,6}", ["5", "6"]],
    ['{"{a,b}","{\\"c d\\"}"}', ["{a,b}", '{"c d"}']],
    ["{{a,b},{c,d}}", ["{a,b}", "{c,d}"]],
    ['{"2024-01-01 00:00:00+00","2024-06-01 00:00:00+00"}', ["2024-01-01 00:00:00+00", "2024-06-01 00:00:00+00"]],
  ])("%s", (text, expected) => {
    expect(arrayElements(text)).toEqual(expected);
  });

  it("come back as they were", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" })), (elements) => {
        expect(arrayElements(arrayText(elements))).toEqual(elements);
      }),
    );
  });
});

describe("search paths", () => {
  it("are read as PostgreSQL writes them", () => {
    expect(searchPathNames('"$user", public')).toEqual(["$user", "public"]);
    expect(searchPathNames('App,"Odd ""name, x", ""')).toEqual(["app", 'Odd "name, x']);
    expect(searchPathNames('""')).toEqual([]);
  });

  it("come from the most specific setting", () => {
    const all = [
      { database: "0", role: "0", value: "all" },
      { database: "5", role: "0", value: "database" },
      { database: "0", role: "7", value: "role" },
      { database: "5", role: "7", value: "both" },
      { database: "6", role: "7", value: "elsewhere" },
    ];
    const without = (...values: string[]) => all.filter(({ value }) => !values.includes(value));
    expect(settingFor(all, "7", "5", "server")).toBe("both");
    expect(settingFor(without("both"), "7", "5", "server")).toBe("role");
    expect(settingFor(without("both", "role"), "7", "5", "server")).toBe("database");
    expect(settingFor(without("both", "role", "database"), "7", "5", "server")).toBe("all");
    expect(settingFor([], "7", "5", "server")).toBe("server");
  });
});

describe("values of a column", () => {
  const skewed = {
    common: [
      { value: "a", share: 0.6 },
      { value: "b", share: 0.2 },
    ],
    bounds: ["c", "d", "e", "f"],
  };

  it("are drawn as often as rows have them", () => {
    const counts: Record<string, number> = {};
    for (let i = 0; i < 1000; i += 1) {
      const value = drawValue(skewed, i / 1000);
      counts[value] = (counts[value] ?? 0) + 1;
    }
    expect(counts).toEqual({ a: 600, b: 200, c: 50, d: 50, e: 50, f: 50 });
  });

  it("are common ones only, where there is no histogram", () => {
    const values = { ...skewed, bounds: [] };
    expect(new Set([0, 0.3, 0.74, 0.76, 0.999].map((u) => drawValue(values, u)))).toEqual(new Set(["a", "b"]));
  });

  it("are ordered as numbers where the type is one", () => {
    const common = ["10", "9", "-1"].map((value) => ({ value, share: 0.3 }));
    expect(ascendingValues({ common, bounds: [] }, "int4")).toEqual(["-1", "9", "10"]);
    expect(ascendingValues({ common, bounds: [] }, "text")).toEqual(["-1", "10", "9"]);
  });

  it("are read as another type only where each of them can be", () => {
    expect(readableAs("int4", "int8")).toBe(true);
    expect(readableAs("int8", "int4")).toBe(false);
    expect(readableAs("numeric", "int4")).toBe(false);
    expect(readableAs("timestamptz", "date")).toBe(true);
    expect(readableAs("text", "date")).toBe(false);
    expect(readableAs("uuid", "text")).toBe(true);
  });

  it("are guessed by type where nothing is known", () => {
    const enums = [{ schema: "app", name: "mood", labels: ["sad", "happy"] }];
    expect(guessedValue("mood", enums)).toBe("sad");
    expect(guessedValue("_int4", [])).toBe("{}");
    expect(guessedValue("int4", [])).toBe("1");
  });
});
