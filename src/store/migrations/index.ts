/** Which steps lead from nothing to the present schema? In order; each is applied once. */
import { foundation } from "./0001_foundation.ts";
import { circuitBreakers } from "./0002_circuit_breakers.ts";
import { adaptiveThresholds } from "./0003_adaptive_thresholds.ts";
import { counterReading } from "./0004_counter_reading.ts";
import { stopSwitch } from "./0005_stop_switch.ts";
import { indexVersions } from "./0006_index_versions.ts";
import { replaceAndReindex } from "./0007_replace_and_reindex.ts";
import { partitions } from "./0008_partitions.ts";
import { indexSamples } from "./0009_index_samples.ts";
import { daemon } from "./0010_daemon.ts";
import { drops } from "./0011_drops.ts";
import { experiments } from "./0012_experiments.ts";
import { canaries } from "./0013_canaries.ts";
import { tableCounters } from "./0014_table_counters.ts";
import { attendedExperiments } from "./0015_attended_experiments.ts";
import type { Migration } from "./migration.ts";

export type { Migration } from "./migration.ts";

export const migrations: readonly Migration[] = [
  foundation,
  circuitBreakers,
  adaptiveThresholds,
  counterReading,
  stopSwitch,
  indexVersions,
  replaceAndReindex,
  partitions,
  indexSamples,
  daemon,
  drops,
  experiments,
  canaries,
  tableCounters,
  attendedExperiments,
];
