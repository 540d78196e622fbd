import { expect, test } from "vitest";
import { formatDuration, formatSize, parseDuration, parseSize } from "../../src/config/index.ts";

test.each([
  ["1GB", 1e9],
  ["250 mb", 250e6],
  ["1.5GB", 1.5e9],
  ["1GiB", 2 ** 30],
  ["64MiB", 64 * 2 ** 20],
  ["8192", 8192],
])("%s is %d bytes", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(["0", "0GB", "-1GB", "much", "1XB", "", "1e3"])(
  "%j is not a size, and the error says how to write one",
  (text) => {
    expect(() => parseSize(text)).toThrow(expect.objectContaining({ code: "usage", exitCode: 2 }));
  },
);

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [999_600, "1.00 MB"],
  [12_340_000, "12.3 MB"],
  [-5e9, "-5.00 GB"],
])("%d bytes read %s", (bytes, text) => {
  expect(formatSize(bytes)).toBe(text);
});

test.each([
  ["500ms", 500],
  ["30s", 30_000],
  ["10m", 600_000],
  ["2h", 7_200_000],
])("%s is %d milliseconds", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(["0s", "10", "ten minutes", "-1s"])("%j is not a time span", (text) => {
  expect(() => parseDuration(text)).toThrow(expect.objectContaining({ code: "usage" }));
});

test.each([
  [0.5, "0.50 ms"],
  [850, "850 ms"],
  [12_340, "12.3 s"],
  [245_000, "4 min 5 s"],
  [7_800_000, "2 h 10 min"],
])("%d milliseconds read %s", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
