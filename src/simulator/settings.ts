/**
 * Settings of the demo's server on top of the embedded defaults: those of a small production server, so that what is measured is queries and
 * not a server fighting its configuration. Parallel query is off, as is usual where many short queries share two cores: it would let one
 * slow query take both. Statistics of I/O are on, for the evidence in verdicts.
 */
export const demoSettings: Readonly<Record<string, string>> = {
  shared_buffers: "512MB",
  max_wal_size: "4GB",
  checkpoint_timeout: "15min",
  track_io_timing: "on",
  random_page_cost: "1.1",
  effective_cache_size: "1GB",
  max_parallel_workers_per_gather: "0",
  jit: "off",
  autovacuum_naptime: "15s",
};

/**
 * The pace of the demo's traffic: without indexes it keeps two current cores about two thirds busy, so that statements wait for a core only now
 * and then; and every statement of the mix comes about once a second, before and after alike.
 */
export const demoPace = { connections: 8, callsPerSecond: 120 } as const;
