import { describe, expect, it } from "vitest";
import { seededRandom } from "../../src/runtime/index.ts";
import { accessStatements, canaryMix, ecommerceMix } from "../../src/simulator/index.ts";

describe("the shop's mix of statements", () => {
  it("has at least fifteen reads and four writes, each with a name of its own", () => {
    expect(ecommerceMix.filter(({ kind }) => kind === "read").length).toBeGreaterThanOrEqual(15);
    expect(ecommerceMix.filter(({ kind }) => kind === "write").length).toBeGreaterThanOrEqual(4);
    for (const mix of [ecommerceMix, canaryMix]) expect(new Set(mix.map(({ name }) => name)).size).toBe(mix.length);
  });

  it("has, where canaries are shown, six shapes that it has anyway and two of the canaries' own", () => {
    const known = new Set(ecommerceMix.map(({ name }) => name));
    expect(canaryMix.filter(({ name }) => known.has(name))).toHaveLength(6);
    expect(canaryMix).toHaveLength(8);
  });

  it("draws as many values as each statement has parameters, the same for a seed", () => {
    for (const { name, sql, parameters } of [...ecommerceMix, ...canaryMix]) {
      const numbers = [...sql.matchAll(/\$(\d+)/g)].map((match) => Number(match[1]));
      expect(parameters(seededRandom(1)), name).toHaveLength(Math.max(0, ...numbers));
      expect(parameters(seededRandom(7)), name).toEqual(parameters(seededRandom(7)));
    }
  });
});

describe("what a superuser has to grant", () => {
  it("is written as a person would, with hostile names quoted and the password only where asked for", () => {
    const plan = {
      database: "shop",
      schemas: ["public", 'we"ird'],
      owner: "shop_owner",
      observe: "indexpilot_observe",
      build: "indexpilot_build",
      password: null,
    };
    expect(accessStatements(plan)).toEqual([
      "create role indexpilot_observe login",
      "grant connect on database shop to indexpilot_observe",
      "grant pg_monitor, pg_read_all_data to indexpilot_observe",
      "create role indexpilot_build login",
      "grant connect, create on database shop to indexpilot_build",
      "grant shop_owner to indexpilot_build",
      "grant usage, create on schema public to indexpilot_build",
      'grant usage, create on schema "we""ird" to indexpilot_build',
    ]);
    expect(accessStatements({ ...plan, password: "it's" })[0]).toBe(
      "create role indexpilot_observe login password 'it''s'",
    );
  });
});
