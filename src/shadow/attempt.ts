import { type Session, SqlState } from "../postgres/index.ts";

/** One statement and what it is for. */
export interface Step {
  /** What people call the thing it makes, e.g. `table public.orders`. */
  readonly object: string;
  readonly sql: string;
  /** What comes near enough where `sql` cannot be done, best first. */
  readonly otherwise?: readonly string[];
}

export interface FailedStep {
  readonly step: Step;
  readonly state: string;
  readonly reason: string;
}

// Runs each statement in a subtransaction of its own, so that one that fails does not take the others with it, in one round trip.
const install = `
create function pg_temp.attempt(statements text[]) returns table (place integer, state text, message text)
language plpgsql as $function$
begin
  for i in 1 .. coalesce(array_length(statements, 1), 0) loop
    begin
      execute statements[i];
    exception when others then
      get stacked diagnostics state = returned_sqlstate, message = message_text;
      place := i;
      return next;
    end;
  end loop;
end $function$`;

/** Makes {@link attempt} available in a session of the shadow. */
export const installAttempt = async (session: Session): Promise<void> => {
  await session.script(install);
};

/** So many statements share a transaction, and their locks with it. */
const BATCH = 200;

/** Runs the steps in order; answers those that failed. */
export const attempt = async (session: Session, steps: readonly Step[]): Promise<FailedStep[]> => {
  const failed: FailedStep[] = [];
  for (let from = 0; from < steps.length; from += BATCH) {
    const batch = steps.slice(from, from + BATCH);
    const rows = await session.query<{ place: number; state: string; message: string }>(
      `select place, state, message from pg_temp.attempt($1)`,
      [batch.map((step) => step.sql)],
    );
    for (const row of rows) {
      const step = batch[row.place - 1];
      if (step === undefined) throw new Error("the shadow reported a statement that it was not given");
      failed.push({ step, state: row.state, reason: reasonOf(row.state, row.message) });
    }
  }
  return failed;
};

/**
 * Runs steps that may depend on one another in any order, as long as each round gets some further, then those left in their next best form.
 * Answers the steps that failed as they were, whether or not another form did.
 */
export const attemptInAnyOrder = async (session: Session, steps: readonly Step[]): Promise<FailedStep[]> => {
  const original = new Map<Step, FailedStep>();
  for (let pending = steps; ;) {
    const failed = await attempt(session, pending);
    const replaced = [...original.values()];
    if (failed.length === 0) return [...new Set(replaced)];
    if (failed.length < pending.length) {
      pending = failed.map((one) => one.step);
      continue;
    }
    if (failed.every(({ step }) => (step.otherwise ?? []).length === 0)) {
      return [...new Set([...replaced, ...failed.map((one) => original.get(one.step) ?? one)])];
    }
    pending = failed.map((one) => {
      const [sql, ...otherwise] = one.step.otherwise ?? [];
      if (sql === undefined) return one.step;
      const next = { object: one.step.object, sql, otherwise };
      original.set(next, original.get(one.step) ?? one);
      return next;
    });
  }
};

/** SQLSTATE of a call of a function that the shadow has no body of. */
export const NO_BODY = "IP002";

/** Their messages name objects only; all others may quote a value of the user's. */
const nameable = new Set<string>([
  SqlState.undefinedTable,
  SqlState.undefinedFunction,
  SqlState.undefinedColumn,
  SqlState.undefinedObject,
  SqlState.undefinedSchema,
  NO_BODY,
]);

/** Why the server refused a statement, without any value of the user's. */
export const reasonOf = (state: string, message: string): string =>
  nameable.has(state) ? message : `the embedded server refused it (SQLSTATE ${state})`;
