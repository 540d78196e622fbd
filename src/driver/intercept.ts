import { failure } from "../errors.ts";
import { systemClock } from "../runtime/index.ts";
import { loadParser } from "../sql/index.ts";
import type { HookCounts } from "./counts.ts";
import { checkExperiments, type GateExperiment } from "./experiment.ts";
import { Hook } from "./hook.ts";
import type { Measurement } from "./measurement.ts";
import { hookNodePostgres, type NodePostgres } from "./node-postgres.ts";
import { hookPostgresJs, isPostgresJs, type PostgresJs } from "./postgres-js.ts";
import { ParameterSamples, type SampledValue, type SampleLimits } from "./samples.ts";

export type { NodePostgres } from "./node-postgres.ts";

export interface InterceptOptions {
  readonly experiments?: readonly GateExperiment[];
  /** Called after every statement, within the driver's own callback: be quick, and hand on what takes time. What it throws is counted, not thrown. */
  readonly observe?: (measurement: Measurement) => void;
  /** Keeps parameters, which are users' data: only with this given. */
  readonly samples?: SampleLimits;
}

/** A hook that is in place. */
export interface Interception {
  /** Resolves when statements are read; until then they go out as they are. */
  readonly ready: Promise<void>;
  /** Runs these experiments from now on, instead of those before. @throws IndexPilotError `experiment_invalid` */
  readonly setExperiments: (experiments: readonly GateExperiment[]) => void;
  /** Tells another of every statement, as {@link InterceptOptions.observe} is told. Returns what ends that. */
  readonly observe: (observer: (measurement: Measurement) => void) => () => void;
  /**
   * Runs `work`; all statements in it, also asynchronous ones, are drawn together, by `unit`: best a request. What comes again in many processes, as a user or a
   * tenant does, is counted in each of them, and a split of few such units proves little.
   */
  readonly as: <T>(unit: string, work: () => T) => T;
  readonly counts: () => HookCounts;
  /** Sets of parameters by fingerprint; empty unless `samples` was given. */
  readonly samples: () => ReadonlyMap<string, readonly (readonly SampledValue[])[]>;
  /** Takes the hook out: from now on every statement goes out as it is, unmeasured. */
  readonly remove: () => void;
}

/**
 * Puts the hook into a driver. For node-postgres, pass the module: every client of it is hooked, those of pools included. For postgres.js, pass what
 * `postgres()` returned and use the `sql` that comes back.
 * @throws IndexPilotError `driver_unknown`, `experiment_invalid`: here alone, never in a query.
 */
export function intercept<S extends PostgresJs>(
  driver: S,
  options?: InterceptOptions,
): Interception & { readonly sql: S };
export function intercept(driver: NodePostgres, options?: InterceptOptions): Interception;
export function intercept(
  driver: NodePostgres | PostgresJs,
  options: InterceptOptions = {},
): Interception & { readonly sql?: PostgresJs } {
  const { experiments = [], observe, samples: limits } = options;
  checkExperiments(experiments);
  const samples = limits === undefined ? null : new ParameterSamples(limits);
  const hook = new Hook(systemClock, observe, samples);
  hook.run(experiments);

  let sql: PostgresJs | undefined;
  let unhook = (): void => undefined;
  if (isPostgresJs(driver)) sql = hookPostgresJs(driver, hook);
  else if (typeof driver.Client?.prototype?.query === "function") unhook = hookNodePostgres(driver, hook);
  else throw failure("driver_unknown", {});

  const ready = loadParser().then(
    () => hook.start(),
    () => hook.failed(),
  );
  return {
    ready,
    setExperiments: (next) => {
      checkExperiments(next);
      hook.run(next);
    },
    observe: (observer) => hook.observe(observer),
    as: (unit, work) => hook.as(unit, work),
    counts: () => hook.counts(),
    samples: () => samples?.all() ?? new Map<string, never>(),
    remove: () => {
      hook.remove();
      unhook();
    },
    ...(sql === undefined ? {} : { sql }),
  };
}
