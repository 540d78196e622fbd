/**
 * What can a Node application do with IndexPilot itself?
 *
 * The package's own door, `import { … } from "indexpilot"`: a thin translation of the pilot, as the command line is. The driver hook has a door of its own,
 * `indexpilot/driver`, which an application loads without the rest.
 */
import { defaults, type Settings } from "../../config/index.ts";
import type { PilotContext } from "../../pilot/index.ts";
import { resolveConnection } from "../../postgres/index.ts";
import { systemClock } from "../../runtime/index.ts";

export { shouldUseCanary } from "../../driver/index.ts";
export { predictIndexBloat, predictReindexNeeds } from "../../maintenance/index.ts";
export {
  checkHealth,
  conductExperiments,
  createAbExperiment,
  createCanaryDeployment,
  endAbExperiment,
  followExperiments,
  getAbResults,
  listAbExperiments,
  maintain,
  openAbRecorder,
  recordAbResult,
  rollbackIndexVersion,
  runPredictiveMaintenance,
} from "../../pilot/index.ts";
export { loadParser, readIndexStatement } from "../../sql/index.ts";

export interface PilotOptions {
  /** libpq's URL of the database, as the observing role. */
  readonly url: string;
  /** The same database as the role that owns the tables. Default: `url`. */
  readonly buildUrl?: string;
  /** What differs from the defaults; names as in `Settings`. */
  readonly settings?: Partial<Settings>;
  /** Ends what is under way. */
  readonly signal?: AbortSignal;
  /** Told of steps, remarks and progress. */
  readonly emit?: PilotContext["emit"];
}

/** What the functions of this door work with. Connects to nothing yet. @throws IndexPilotError `usage` for a URL that is none */
export const pilotFor = ({ url, buildUrl, settings = {}, signal, emit }: PilotOptions): PilotContext => {
  const observe = resolveConnection(url, {});
  return {
    observe,
    build: buildUrl === undefined ? observe : resolveConnection(buildUrl, {}),
    settings: { ...defaults, ...settings },
    clock: systemClock,
    signal: signal ?? new AbortController().signal,
    emit: emit ?? (() => undefined),
  };
};
