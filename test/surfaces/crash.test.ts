import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { crashRun, lives, openStage, type Stage } from "../../bench/crash/harness.ts";

// A few of the runs that `npm run bench:crash` makes by the hundred.
describe("kill -9 at a transition or at any moment", { timeout: 240_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage(18);
  }, 60_000);
  afterAll(async () => {
    await stage.close();
  });

  test.each(lives.map((life, at) => [life, at + 1] as const))("is survived: %s", async (life, seed) => {
    const { story, violations } = await crashRun(stage, seed, life);
    expect(violations, story).toEqual([]);
    expect(story).toContain("killed");
  });
});
