import { expect, test } from "vitest";
import { BoundedCache } from "../../src/driver/bounded.ts";

test("what is in use outlives a flood of what comes once, which is forgotten", () => {
  const cache = new BoundedCache<number>(100);
  const { young } = cache;
  cache.set("in use", -1);
  for (let i = 0; i < 1_000; i += 1) {
    cache.set(`once ${i}`, i);
    expect(young.size).toBeLessThanOrEqual(100);
    expect([young.get(`once ${i}`), cache.get(`once ${Math.max(0, i - 40)}`)]).toEqual([i, Math.max(0, i - 40)]);
    if (i % 50 === 0) expect(young.get("in use") ?? cache.get("in use")).toBe(-1);
  }
  expect(cache.get("once 0")).toBeUndefined();
});
