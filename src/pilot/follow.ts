import { randomUUID } from "node:crypto";
import { type Experiment, type FollowerStand, gateNumber, shareOf } from "../domain/index.ts";
import { type GateExperiment, type Interception, type Measurement, readGateStanding } from "../driver/index.ts";
import { failure } from "../errors.ts";
import { openSession, readServerIdentity, resolveConnection, type Session } from "../postgres/index.ts";
import { type Clock, systemClock } from "../runtime/index.ts";
import { openStore, type Store } from "../store/index.ts";
import { ArmTally } from "../verification/index.ts";

export interface FollowOptions {
  /**
   * Where IndexPilot's schema is: best as the application's own role, which `indexpilot experiment admit ROLE` lets in, so that what that role may read and
   * how it resolves names is known.
   */
  readonly url: string;
  /** For people who look at an experiment. Default `application`. */
  readonly application?: string;
  /** How often it looks for what has changed, milliseconds. Default 1,000. */
  readonly everyMs?: number;
  /**
   * Told when the store cannot be reached, or by this URL never could be; meanwhile no gate is stated, and it tries again by itself. What this throws is lost. Default: a
   * warning of the process, once for each problem.
   */
  readonly onError?: (error: Error) => unknown;
  readonly clock?: Clock;
}

/** A process that follows experiments. */
export interface Following {
  /** Experiments whose statements are drawn now. */
  readonly running: () => readonly { readonly id: string; readonly share: number }[];
  /** Hands over what was seen, and follows no more; where that fails, `onError` is told. Never rejects. Does not remove the hook. */
  close(): Promise<void>;
}

const warn = (): ((error: Error) => void) => {
  const told = new Set<string>();
  return ({ message }) => {
    if (told.has(message)) return;
    told.add(message);
    process.emitWarning(`experiments are not followed: ${message}`, "IndexPilotWarning");
  };
};

interface Connected {
  readonly session: Session;
  readonly store: Store;
}

/** Whoever conducts an experiment takes a process that was silent for so long for gone. */
export const SILENT_MS = 15_000;

/**
 * Nobody judges what nobody has looked at for so long, and nothing would take back what does harm: its gates are not stated until somebody looks again. A conductor
 * looks once a second; between two turns of the daemon are its other duties, a minute or two of observing as a rule.
 */
export const UNATTENDED_MS = 300_000;

/** Whose clock is further from the database's than this, or than a window is long, would count into other windows than the rest. */
const SKEW_MS = 5_000;

/** A window compares the arms, so that both have slices of it. */
const SLICES_PER_WINDOW = 10;
const SHORTEST_SLICE_MS = 50;

const connect = async (url: string, clock: Clock): Promise<Connected> => {
  const session = await openSession(resolveConnection(url, {}), "store");
  try {
    const server = await readServerIdentity(session);
    const store = await openStore(session, { create: false, server, now: clock.now() });
    if (store === null) throw failure("store_missing", {});
    return { session, store };
  } catch (error) {
    await session.close();
    throw error;
  }
};

/**
 * Lets this process of the application take part in whatever experiment the pilot conducts: draws its transactions, states the gates, and hands over, window
 * by window, how the statements fared. One connection of its own. While the store cannot be reached, does not answer, or is not there yet, no gate is stated: the
 * application's statements go out as they are; so they do after `indexpilot stop`, and where nobody has conducted the experiment for minutes. Resolves after the first look, and never rejects: an application shall start
 * without IndexPilot. It does not keep the process alive; `close` hands over what was seen last.
 */
export const followExperiments = async (hook: Interception, options: FollowOptions): Promise<Following> => {
  const { application = "application", everyMs = 1_000, onError = warn(), clock = systemClock } = options;
  const id = randomUUID();
  const tallies = new Map<string, ArmTally>();
  let drawn: readonly GateExperiment[] = [];
  let connected: Connected | null = null;
  await hook.ready;

  const draw = (experiments: readonly GateExperiment[]): void => {
    const same = JSON.stringify(experiments) === JSON.stringify(drawn);
    drawn = experiments;
    if (!same) hook.setExperiments(experiments);
  };

  const readSkewMs = async (session: Session): Promise<number> => {
    const asked = clock.now().getTime();
    const [row] = await session.query<{ now: Date }>("select clock_timestamp() as now");
    return (asked + clock.now().getTime()) / 2 - (row?.now.getTime() ?? asked);
  };

  /** Asked each time: columns, privileges and names change while an experiment runs. */
  const standOf = async (session: Session, experiment: Experiment) => {
    const query = async (text: string, values?: string[]) => ({ rows: await session.query(text, values) });
    let bareName = true;
    const skewMs = await readSkewMs(session);
    let objection =
      Math.abs(skewMs) > Math.max(SKEW_MS, experiment.blockMs)
        ? `its clock differs from the database's by ${(skewMs / 1000).toFixed(0)} s`
        : null;
    for (const arm of ["treatment", "control"] as const) {
      const { gate } = experiment[arm];
      if (gate === null) continue;
      const standing = await readGateStanding({ query }, { table: experiment.table, column: gate.column });
      if (standing.kind === "fails") objection ??= standing.reason;
      else bareName &&= standing.bareName;
    }
    return { bareName, objection };
  };

  /** Looks what there is to follow, says how it stands, and hands over what it has seen. */
  const look = async ({ session, store }: Connected): Promise<void> => {
    const gates: GateExperiment[] = [];
    const stands: Record<string, FollowerStand> = {};
    // Tenants are split by what the index holds: there is nothing to state.
    const open = (await store.experiments.open()).filter(({ exposure }) => exposure === "gate");
    const stopped = (await store.stop.get()) !== null;
    const attended = await store.experiments.attended(UNATTENDED_MS);
    for (const experiment of open) {
      const { bareName, objection } = await standOf(session, experiment);
      const runs = experiment.state === "running" || experiment.state === "applying";
      const isDrawn = runs && objection === null && !stopped && attended.has(experiment.id);
      const gated = isDrawn ? gateExperimentOf(experiment, bareName) : null;
      if (gated !== null) gates.push(gated);
      stands[experiment.id] = { share: gated?.share ?? 0, objection };
      if (!tallies.has(experiment.id)) tallies.set(experiment.id, new ArmTally(experiment.blockMs));
    }
    draw(gates);
    await store.experiments.sayFollowing({ process: id, application, role: session.target.user, stands });
    await handOver(store, clock.now());
    for (const known of tallies.keys()) {
      if (open.some((one) => one.id === known)) continue;
      tallies.delete(known);
    }
  };

  const handOver = async (store: Store, before: Date | null): Promise<void> => {
    for (const [experiment, tally] of tallies) {
      await tally.handOver(before, (windows) => store.experiments.add(experiment, windows));
    }
  };

  const stopObserving = hook.observe((measurement: Measurement) => {
    const { experiment, arm, unit, transaction, share, fingerprint, timeMs, rows, error } = measurement;
    if (experiment === null || arm === null || share === null) return;
    tallies
      .get(experiment)
      ?.add({ arm, unit, transaction, share, fingerprint, timeMs, rows, at: clock.now(), failed: error !== null });
  });

  /** A logger that throws, or rejects, ends nothing. */
  const tell = async (problem: unknown): Promise<void> => {
    try {
      await onError(problem instanceof Error ? problem : new Error(String(problem)));
    } catch {
      // There is nobody left to tell.
    }
  };

  /** Whatever it is: the application must not end by what IndexPilot cannot do. */
  const lose = async (problem: unknown): Promise<void> => {
    draw([]);
    const lost = connected;
    connected = null;
    await lost?.session.close().catch(() => undefined);
    void tell(problem);
  };

  const ended = new AbortController();
  const lookOnce = async (): Promise<void> => {
    // Whoever conducts takes this process for gone by then: it shall not state what nobody judges any more.
    const answered = new AbortController();
    void clock.sleep(SILENT_MS, answered.signal).then(
      () => draw([]),
      () => undefined,
    );
    try {
      connected ??= await connect(options.url, clock);
      await look(connected);
    } catch (error) {
      await lose(error);
    } finally {
      answered.abort();
    }
  };
  const loop = async (): Promise<void> => {
    for (;;) {
      // Whoever only follows shall not keep an application alive that has nothing left to do.
      connected?.session.holdProcess(false);
      await clock.sleep(everyMs, ended.signal, true).catch(() => undefined);
      connected?.session.holdProcess(true);
      if (ended.signal.aborted) return;
      await lookOnce();
    }
  };
  await lookOnce();
  const running = loop();
  return {
    running: () => drawn.map((one) => ({ id: one.id, share: one.share })),
    close: async () => {
      ended.abort();
      await running;
      draw([]);
      stopObserving();
      if (connected === null) return;
      const { session, store } = connected;
      try {
        await handOver(store, null);
        await store.experiments.endFollowing(id);
        await session.close();
      } catch (error) {
        await lose(error);
      }
    },
  };
};

/** What the hook needs to know of an experiment. */
const gateExperimentOf = (experiment: Experiment, bareName: boolean): GateExperiment | null => {
  const { id, table, unit, control, treatment, blockMs } = experiment;
  if (treatment.gate === null) return null;
  const common = { id, table, bareName, share: shareOf(experiment) };
  const gate = { ...common, column: treatment.gate.column, number: gateNumber(experiment, "treatment") };
  const own =
    control.gate === null
      ? {}
      : { control: { table, bareName, column: control.gate.column, number: gateNumber(experiment, "control") } };
  return unit === "slice"
    ? { ...gate, ...own, unit, sliceMs: Math.max(SHORTEST_SLICE_MS, blockMs / SLICES_PER_WINDOW) }
    : { ...gate, ...own, unit };
};
