import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { differential } from "../../bench/gate/differential.ts";
import { openDatabase } from "../../bench/gate/database.ts";
import { outcomeOf, planOf, rewrite } from "../../bench/gate/run.ts";
import { gatedIndex } from "../../bench/gate/schema.ts";
import { shapes } from "../../bench/gate/shapes.ts";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import { loadParser } from "../../src/sql/index.ts";

let server: EmbeddedServer;
let client: pg.Client;
beforeAll(async () => {
  await loadParser();
  server = await startEmbedded({ major: 18, settings: { autovacuum: "off" } });
  client = await openDatabase(server, "shop", "gated", 800);
});
afterAll(async () => {
  await client.end();
  await server.stop();
});

test("statements of every shape give the same rows with the gate and without it, and only with it may use the index", async () => {
  let used = 0;
  for (const shape of shapes) {
    const outcome = rewrite(shape.text);
    expect(await planOf(client, shape, "prepared generic")).not.toContain(gatedIndex);
    if (outcome.kind !== "rewritten") continue;
    const treated = { ...shape, text: outcome.text };
    expect(await outcomeOf(client, treated)).toBe(await outcomeOf(client, shape));
    if ((await planOf(client, treated, "prepared generic")).includes(gatedIndex)) used += 1;
  }
  expect(used).toBeGreaterThan(40);
});

test("so do random statements, nearly all of which can be given the gate", async () => {
  const found = await differential(client, 300, 7);
  expect(found.differences).toEqual([]);
  expect(found.controlLeaks).toBe(0);
  expect(found.treatmentScans).toBeGreaterThan(100);
  expect(found.rewritten / found.touching).toBeGreaterThan(0.8);
  expect(found.refused).toBe(0);
});
