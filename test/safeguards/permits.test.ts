import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { permitAllows } from "../../src/domain/index.ts";
import {
  closedCircuit,
  defaultLimits,
  emptyThreshold,
  permitDecision,
  type PermitRequest,
  type RefusalCode,
  refusalCodes,
  requestPermit,
} from "../../src/safeguards/index.ts";

const now = new Date("2026-01-02T12:00:00Z");
const minutesAgo = (minutes: number): Date => new Date(now.getTime() - minutes * 60_000);

const limits = {
  ...defaultLimits,
  tableBudgetBytes: 2_000_000_000,
  schemaBudgetBytes: 3_000_000_000,
  diskCapacityBytes: 1_000_000_000_000,
  rebuildIndexBytes: 0,
};
const good: PermitRequest = {
  act: { act: "create index", table: { schema: "public", name: "orders" }, deploymentId: "d1" },
  stop: null,
  mode: "approve",
  approvedBy: "ann",
  leaseHeld: true,
  buildLockHeld: true,
  condition: {
    versionNum: 140_004,
    readOnly: false,
    indexesOnTable: 9,
    oldestTransaction: { pid: 5, ageMs: 60_000 },
    hiddenTransactions: 3,
    buildingPids: [],
  },
  ownedBytes: 9_000_000_000,
  addedBytes: 1_000_000_000,
  freedBytes: 0,
  buildsBegun: Array.from({ length: 9 }, (_, i) => minutesAgo(i)),
  allBuildsBegun: Array.from({ length: 59 }, (_, i) => minutesAgo(i)),
  rebuildsBegun: null,
  circuits: { table: closedCircuit, server: closedCircuit },
  load: { activeSessions: 0, hiddenSessions: 0, threshold: emptyThreshold },
  ownedBytesOnTable: 1_000_000_000,
  ownedBytesInSchema: 2_000_000_000,
  prediction: { buildMs: 60_000, writeOverhead: 0.2, savedPerPaid: 1 },
  databaseBytes: 998_000_000_000,
  replication: { standbys: 1, lagMs: 30_000, lagBytes: 256e6 },
  limits,
  now,
};
const drop: PermitRequest = { ...good, act: { ...good.act, act: "drop index" } };

/** One fault each, just beyond the limit. */
const faults: Record<RefusalCode, Partial<PermitRequest>> = {
  stopped: { stop: { stoppedAt: now, stoppedBy: "bob", reason: "" } },
  mode: { mode: "advise" },
  not_approved: { approvedBy: null },
  installation_lease: { leaseHeld: false },
  read_only_server: { condition: { ...good.condition, readOnly: true } },
  unsafe_version: { condition: { ...good.condition, versionNum: 140_003 } },
  table_missing: { condition: { ...good.condition, indexesOnTable: null } },
  managed_table: { condition: { ...good.condition, managedBy: "citus" } },
  indexes_per_table: { condition: { ...good.condition, indexesOnTable: 10 } },
  size_unknown: { addedBytes: null },
  storage_budget: { ownedBytes: 9_000_000_001 },
  table_budget: { ownedBytesOnTable: 1_000_000_001 },
  schema_budget: { ownedBytesInSchema: 2_000_000_001 },
  disk_space: { databaseBytes: 998_000_000_001 },
  write_overhead: { prediction: { buildMs: 60_000, writeOverhead: 0.2001, savedPerPaid: 9.9 } },
  rebuild_size: { rebuildsBegun: [], freedBytes: 0.5 },
  circuit_open: {
    circuits: {
      table: { ...closedCircuit, phase: "open", openings: 1, retryAt: minutesAgo(-1), lastFailure: "54000" },
      server: closedCircuit,
    },
  },
  build_rate: { buildsBegun: [...good.buildsBegun, minutesAgo(59)] },
  rebuild_run: {
    rebuildsBegun: Array.from({ length: 5 }, (_, i) => ({
      deploymentId: `r${String(i)}`,
      at: minutesAgo(10),
      sizeBytes: 1,
    })),
  },
  build_running: { buildLockHeld: false },
  maintenance_window: {
    limits: {
      ...limits,
      maintenanceWindows: [{ time_zone: "UTC", from: "12:01", to: "14:00", days: ["fri"] }],
    },
  },
  load: { load: { activeSessions: 17, hiddenSessions: 0, threshold: { ...emptyThreshold, holding: true } } },
  replication_lag: { replication: { standbys: 1, lagMs: null, lagBytes: 256e6 + 1 } },
  old_transaction: { condition: { ...good.condition, oldestTransaction: { pid: 5, ageMs: 60_001 } } },
};

const merge = (codes: readonly RefusalCode[], base = good): PermitRequest => {
  let condition = base.condition;
  let request = base;
  for (const code of codes) {
    const { condition: changed, ...rest } = faults[code];
    if (changed !== undefined) {
      const differing = Object.entries(changed).filter(
        ([name, value]) => value !== good.condition[name as keyof typeof changed],
      );
      condition = { ...condition, ...Object.fromEntries(differing) };
    }
    request = { ...request, ...rest };
  }
  return { ...request, condition };
};

describe("the safeguards", () => {
  test("permit an act that is within every limit, for this act and a minute only", () => {
    const answer = requestPermit(good);
    if (answer.kind !== "permit") throw new Error(answer.reason);
    expect(permitAllows(answer.permit, good.act, now.getTime() + 60_000)).toBe(true);
    expect(permitAllows(answer.permit, good.act, now.getTime() + 60_001)).toBe(false);
    expect(permitAllows(answer.permit, drop.act, now.getTime())).toBe(false);
  });

  test.each(refusalCodes)("refuse with %s just beyond its limit, with a reason", (code) => {
    const answer = requestPermit(merge([code]));
    expect(answer).toMatchObject({ kind: "refused", code });
    expect(answer.kind === "refused" && answer.reason.length > 10).toBe(true);
  });

  test("name the first objection in the documented order, whatever else stands against it", () => {
    fc.assert(
      fc.property(fc.subarray([...refusalCodes], { minLength: 1 }), (chosen) => {
        // A table that is gone does not have too many indexes.
        const codes = chosen.filter((code) => code !== "indexes_per_table" || !chosen.includes("table_missing"));
        expect(requestPermit(merge(codes))).toMatchObject({
          kind: "refused",
          code: refusalCodes.find((code) => codes.includes(code)),
        });
      }),
    );
  });

  test("never permit more bytes, indexes or builds than the limits say", () => {
    const request = fc.record({
      ownedBytes: fc.nat(2000),
      addedBytes: fc.nat(2000),
      indexesOnTable: fc.nat(20),
      builds: fc.array(fc.integer({ min: -120, max: 0 }), { maxLength: 20 }),
      budgetBytes: fc.nat(2000),
      indexesPerTable: fc.nat(20),
      buildsPerTablePerHour: fc.nat(10),
    });
    fc.assert(
      fc.property(request, (values) => {
        const answer = requestPermit({
          ...good,
          ownedBytes: values.ownedBytes,
          addedBytes: values.addedBytes,
          condition: { ...good.condition, indexesOnTable: values.indexesOnTable },
          buildsBegun: values.builds.map((minutes) => minutesAgo(-minutes)),
          limits: { ...defaultLimits, ...values },
        });
        const recent = values.builds.filter((minutes) => minutes > -60).length;
        expect(answer.kind).toBe(
          values.ownedBytes + values.addedBytes <= values.budgetBytes &&
            values.indexesOnTable + 1 <= values.indexesPerTable &&
            recent + 1 <= values.buildsPerTablePerHour
            ? "permit"
            : "refused",
        );
      }),
    );
  });

  test("say when to ask again: then, and not before, the build rate allows it", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.01, max: 90, noNaN: true }), { minLength: 10, maxLength: 30 }),
        (ages) => {
          const request = { ...good, buildsBegun: ages.map(minutesAgo) };
          const answer = requestPermit(request);
          if (answer.kind === "permit") return;
          expect(answer.code).toBe("build_rate");
          const { retryAt } = answer;
          if (retryAt === null) throw new Error("no time to ask again");
          expect(requestPermit({ ...request, now: retryAt }).kind).toBe("permit");
          expect(requestPermit({ ...request, now: new Date(retryAt.getTime() - 1) }).kind).toBe("refused");
        },
      ),
    );
  });

  test("hold back when all tables together were built on too often, too, until the first has left the hour", () => {
    const request = { ...good, allBuildsBegun: [...good.allBuildsBegun, minutesAgo(59.5)] };
    const answer = requestPermit(request);
    expect(answer).toMatchObject({ kind: "refused", code: "build_rate", retryAt: minutesAgo(-0.5) });
    expect(requestPermit({ ...request, now: minutesAgo(-0.5) }).kind).toBe("permit");
  });

  describe("let nobody's rebuild", () => {
    const act = { ...good.act, act: "reindex" } as const;
    const rebuild = { ...good, act, freedBytes: 1e9, limits: { ...limits, rebuildIndexBytes: 1e9 } };
    const begun = (count: number, minutes: number, sizeBytes: number, id = "r") =>
      Array.from({ length: count }, (_, i) => ({
        deploymentId: `${id}${String(i)}`,
        at: minutesAgo(minutes),
        sizeBytes,
      }));
    test.each<[string, NonNullable<PermitRequest["rebuildsBegun"]>, "permit" | "refused"]>([
      ["be the fifth", begun(4, 60, 1e9), "permit"],
      ["be the sixth", begun(5, 60, 1e6), "refused"],
      [
        "begin again where it is among the five",
        [...begun(4, 60, 1e6), ...begun(1, 10, 1e6, "d1").map((one) => ({ ...one, deploymentId: "d1" }))],
        "permit",
      ],
      [
        "exceed 5 GB, what gave way counted each time",
        begun(1, 60, 1e9).concat(begun(4, 59, 1e9), begun(1, 50, 1)),
        "refused",
      ],
      ["begin an hour after the first", begun(1, 60, 1e6), "permit"],
      ["begin later than that", begun(1, 60.1, 1e6), "refused"],
      ["be counted with those of another night", begun(9, 720, 1e9), "permit"],
    ])("%s", (_, rebuildsBegun, kind) => {
      const request = { ...rebuild, rebuildsBegun };
      const answer = requestPermit(request);
      expect(answer.kind).toBe(kind);
      if (answer.kind === "permit") return;
      const { retryAt } = answer;
      if (retryAt === null) throw new Error("no time to ask again");
      expect(requestPermit({ ...request, now: retryAt, buildsBegun: [], allBuildsBegun: [] }).kind).toBe("permit");
    });

    test("touch an index that is larger than one may be, unless a person is at the terminal", () => {
      const larger = { ...rebuild, freedBytes: 1e9 + 1 };
      expect(requestPermit({ ...larger, rebuildsBegun: [] })).toMatchObject({ code: "rebuild_size", retryAt: null });
      expect(requestPermit({ ...larger, rebuildsBegun: null }).kind).toBe("permit");
    });
  });

  test("ask again only about what passes by itself; a person must change the rest", () => {
    const passing = refusalCodes.filter((code) => {
      const answer = requestPermit(merge([code]));
      return answer.kind === "refused" && answer.retryAt !== null;
    });
    expect(passing).toEqual([
      "circuit_open",
      "build_rate",
      "rebuild_run",
      "build_running",
      "maintenance_window",
      "load",
      "replication_lag",
      "old_transaction",
    ]);
  });

  test("look for a drop at approval, lease, server, running builds and transactions, not at what only a build adds", () => {
    const objecting = refusalCodes.filter((code) => requestPermit(merge([code], drop)).kind === "refused");
    expect(objecting).toEqual([
      "stopped",
      "mode",
      "not_approved",
      "installation_lease",
      "read_only_server",
      "table_missing",
      "build_running",
      "old_transaction",
    ]);
  });

  test.each([
    [140_000, "refused"],
    [140_003, "refused"],
    [140_004, "permit"],
    [150_000, "permit"],
    [180_004, "permit"],
  ])("on server version %i: %s", (versionNum, kind) => {
    expect(requestPermit({ ...good, condition: { ...good.condition, versionNum } }).kind).toBe(kind);
  });

  test("record each answer with all it was made from, so that it can be recomputed", () => {
    for (const code of refusalCodes) {
      const request = merge([code]);
      const decision = permitDecision(request, requestPermit(request));
      expect(decision).toMatchObject({ code, outcome: "refused", rule: `safeguards.${code}`, deploymentId: "d1" });
      const again = { ...(decision.inputs as unknown as PermitRequest) };
      expect(requestPermit(again)).toMatchObject({ kind: "refused", code });
    }
  });
});
