import { Gauge, Registry } from "prom-client";
import { isReady, type Standing } from "./standing.ts";

/** How all targets stand, as Prometheus reads it. */
export const metricsOf = (standings: readonly Standing[]): Registry => {
  const registry = new Registry();
  const gauge = (name: string, help: string, of: (standing: Standing) => number): void => {
    const made = new Gauge({
      name: `indexpilot_${name}`,
      help,
      labelNames: ["target"],
      registers: [],
      collect() {
        for (const standing of standings) this.set({ target: standing.target }, of(standing));
      },
    });
    registry.registerMetric(made);
  };
  const perDuty = (
    name: string,
    help: string,
    of: (duty: { endedAt: Date | null; failures: number }) => number,
  ): void => {
    const made = new Gauge({
      name: `indexpilot_duty_${name}`,
      help,
      labelNames: ["target", "duty"],
      registers: [],
      collect() {
        for (const { target, duties } of standings) {
          for (const [duty, record] of duties) this.set({ target, duty }, of(record));
        }
      },
    });
    registry.registerMetric(made);
  };
  gauge("ready", "1 where the target is led by this process or this process stands by", (s) => Number(isReady(s)));
  gauge("leader", "1 where this process leads", (s) => Number(s.role === "leader"));
  gauge("stopped", "1 where somebody has stopped everything", (s) => Number(s.stopped));
  gauge("waiting_for_approval", "Indexes that wait for a person", (s) => s.waitingForApproval);
  gauge("open_verdicts", "Indexes whose verdict is pending", (s) => s.openVerdicts);
  gauge("notices_untold", "Notices that the webhook has not taken yet", (s) => s.untold);
  perDuty("failures", "Failures of a duty in a row", ({ failures }) => failures);
  perDuty("last_end_timestamp_seconds", "When a duty last ended", ({ endedAt }) => (endedAt?.getTime() ?? 0) / 1000);
  return registry;
};
