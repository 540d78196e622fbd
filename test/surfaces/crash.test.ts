import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { crashRun, openStage, type Stage } from "../../bench/crash/harness.ts";

// A few of the runs that `npm run bench:crash` makes by the hundred.
describe("kill -9 at a transition or at any moment", { timeout: 240_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage(18);
  }, 60_000);
  afterAll(async () => {
    await stage.close();
  });

  test.each([1, 2, 3, 4])("is survived: seed %i", async (seed) => {
    const { story, violations } = await crashRun(stage, seed);
    expect(violations, story).toEqual([]);
    expect(story).toContain("killed");
  });
});
