/**
 * What is done when nobody is at the terminal?
 *
 * `indexpilot run`: for each target a leader, chosen by the server; its duties, one after the other, each when it is due; what happened, told to the log and to a
 * webhook; how all that stands, for whoever probes it. Invariants: only the leader acts; a duty is the same function of the pilot that a command
 * calls; a lost connection ends nothing but the duty of the moment, and the next leader begins with what is left over; nothing that was recorded stays untold because a
 * process died. Left to others: what a duty does (`pilot/`), whether it may (`safeguards/`).
 */
export { runDaemon, type SteeredTarget } from "./daemon.ts";
export { type Health, serveHealth } from "./health.ts";
export { jsonLines, type Log, type LogEntry } from "./log.ts";
export { openWebhook } from "./webhook.ts";
