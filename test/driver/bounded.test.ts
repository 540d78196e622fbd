import { expect, test } from "vitest";
import { BoundedMap } from "../../src/driver/bounded.ts";

test("holds what came last, and never more than it may", () => {
  const map = new BoundedMap<number>(100);
  for (let i = 0; i < 1_000; i += 1) {
    map.set(`text ${i}`, i);
    expect(map.size).toBeLessThanOrEqual(100);
    for (let last = Math.max(0, i - 49); last <= i; last += 1) expect(map.get(`text ${last}`)).toBe(last);
  }
  expect(map.get("text 0")).toBeUndefined();
});
