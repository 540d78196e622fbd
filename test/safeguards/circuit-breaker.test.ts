import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CircuitBreaker } from "../../src/domain/index.ts";
import {
  checkCircuitBreaker,
  circuitOf,
  closedCircuit,
  defaultLimits as limits,
  recordCircuitFailure,
  recordCircuitSkip,
  recordCircuitSuccess,
} from "../../src/safeguards/index.ts";

const start = new Date("2026-01-02T12:00:00Z");
const at = (seconds: number): Date => new Date(start.getTime() + seconds * 1000);
const fail = (breaker: CircuitBreaker, seconds: number) => recordCircuitFailure(breaker, "54000", at(seconds), limits);
const failed = (times: number): CircuitBreaker =>
  Array.from({ length: times }, (_, i) => i).reduce((breaker, i) => fail(breaker, i), closedCircuit);
const trial = (breaker: CircuitBreaker, seconds: number): CircuitBreaker => {
  const answer = checkCircuitBreaker(breaker, at(seconds), limits);
  if (answer.kind === "refused") throw new Error(answer.reason);
  return answer.next;
};

describe("a circuit breaker", () => {
  test("opens at the fifth failure in a row, for sixty seconds, and says when to ask again", () => {
    expect(failed(4)).toMatchObject({ phase: "closed", failures: 4 });
    const open = failed(5);
    expect(open).toMatchObject({ phase: "open", retryAt: at(4 + 60), lastFailure: "54000" });
    expect(checkCircuitBreaker(open, at(63), limits)).toMatchObject({ kind: "refused", retryAt: at(64) });
    expect(checkCircuitBreaker(open, at(64), limits).kind).toBe("allowed");
  });

  test("begins to count anew after a success, and takes no skip for one", () => {
    expect(fail(recordCircuitSuccess(failed(4), limits), 9)).toMatchObject({ phase: "closed", failures: 1 });
    expect(fail(recordCircuitSkip(failed(4)), 9).phase).toBe("open");
    expect(recordCircuitSkip(failed(4))).toEqual(failed(4));
  });

  test("lets one trial pass when half open, and closes after two that succeed", () => {
    const first = trial(failed(5), 70);
    expect(first).toMatchObject({ phase: "half_open", trialSince: at(70) });
    expect(checkCircuitBreaker(first, at(71), limits)).toMatchObject({ kind: "refused", retryAt: at(130) });
    const once = recordCircuitSuccess(first, limits);
    expect(once).toMatchObject({ phase: "half_open", successes: 1, trialSince: null });
    expect(recordCircuitSuccess(trial(once, 72), limits)).toEqual(closedCircuit);
  });

  test("opens again for twice as long at each failed trial, a day at most", () => {
    let breaker = failed(5);
    let now = 100;
    const openFor: number[] = [];
    for (let i = 0; i < 13; i += 1) {
      breaker = fail(trial(breaker, now), now);
      const seconds = ((breaker.retryAt?.getTime() ?? 0) - at(now).getTime()) / 1000;
      openFor.push(seconds);
      now += seconds;
    }
    expect(openFor.slice(0, 5)).toEqual([120, 240, 480, 960, 1920]);
    expect(openFor.at(-1)).toBe(86_400);
  });

  test("frees the place of a trial that was skipped at once, and of one that never reported after the opening time", () => {
    const running = trial(failed(5), 70);
    expect(checkCircuitBreaker(recordCircuitSkip(running), at(71), limits).kind).toBe("allowed");
    expect(checkCircuitBreaker(running, at(129.9), limits).kind).toBe("refused");
    expect(checkCircuitBreaker(running, at(130), limits).kind).toBe("allowed");
  });

  type Step = { readonly what: "ask" | "success" | "failure" | "skip"; readonly waitS: number };
  const steps = fc.array(
    fc.record({ what: fc.constantFrom("ask", "success", "failure", "skip"), waitS: fc.nat(100) }),
    { maxLength: 60 },
  ) as fc.Arbitrary<Step[]>;

  test("whatever happens: none passes before its time, no two trials run, and only successes close it", () => {
    fc.assert(
      fc.property(steps, (sequence) => {
        let breaker: CircuitBreaker = closedCircuit;
        let now = 0;
        for (const { what, waitS } of sequence) {
          now += waitS;
          const before = breaker;
          if (what === "ask") {
            const answer = checkCircuitBreaker(before, at(now), limits);
            if (answer.kind === "refused") {
              expect(answer.retryAt.getTime()).toBeGreaterThan(at(now).getTime());
              expect(checkCircuitBreaker(before, answer.retryAt, limits).kind).toBe("allowed");
              continue;
            }
            if (before.retryAt !== null) expect(at(now).getTime()).toBeGreaterThanOrEqual(before.retryAt.getTime());
            if (before.trialSince !== null) {
              expect(at(now).getTime() - before.trialSince.getTime()).toBeGreaterThanOrEqual(limits.breakerOpenMs);
            }
            breaker = answer.next;
          } else if (what === "success") breaker = recordCircuitSuccess(before, limits);
          else if (what === "failure") breaker = recordCircuitFailure(before, "53100", at(now), limits);
          else breaker = recordCircuitSkip(before);
          expect(breaker.retryAt !== null).toBe(breaker.phase === "open");
          if (breaker.trialSince !== null) expect(breaker.phase).toBe("half_open");
          if (breaker.phase === "closed") expect(breaker.failures).toBeLessThan(limits.breakerFailures);
          if (breaker.phase === "closed" && before.phase !== "closed") {
            expect(what).toBe("success");
            expect(before.successes).toBe(limits.breakerSuccesses - 1);
          }
        }
      }),
    );
  });

  test.each([
    ["53100", "server"], // disk full
    ["25006", "server"], // read only
    ["57P01", "server"], // administrator
    ["58030", "server"], // I/O
    ["XX001", "server"], // corruption
    ["57014", "table"], // somebody cancelled this statement
    ["54000", "table"], // a value too long
    ["23505", "table"], // a value twice
    ["22012", "table"], // an expression that raises
    [null, "table"], // not what was intended
  ])("for a build that failed with %s is that of the %s", (sqlState, whose) => {
    expect(circuitOf(sqlState)).toBe(whose);
  });
});
