import type { WhatIfRequest, WhatIfResult } from "../domain/index.ts";
import { decodePlan, usedIndexNames } from "../plan/index.ts";
import { quoteIdentifier, type Session } from "../postgres/index.ts";
import { PLANNER_ROLE } from "./access.ts";
import { reasonOf } from "./attempt.ts";
import { OWN_SCHEMA } from "./objects.ts";

// One round trip for many requests. Each group toggles `indisvalid` in a subtransaction that is always rolled back, so the catalogue stays as it
// was; each EXPLAIN has one of its own, so that a failing one does not take the others with it. Rows returned before a rollback stay returned.
// EXPLAIN is planned anew each time: a cached plan would not notice the toggles.
// The toggle needs a superuser, planning must not have one.
const installToggle = `
create function ${OWN_SCHEMA}.show_indexes(shown oid[], hidden oid[]) returns void
language sql security definer set search_path = pg_catalog as $function$
  update pg_index set indisvalid = indexrelid = any (shown) where indexrelid = any (shown || hidden)
$function$;
revoke all on function ${OWN_SCHEMA}.show_indexes from public;
grant execute on function ${OWN_SCHEMA}.show_indexes to ${PLANNER_ROLE}`;

const install = `
create function pg_temp.what_if(groups jsonb) returns table (place integer, plan text, state text, message text)
language plpgsql as $function$
declare g jsonb; r jsonb;
begin
  for g in select value from jsonb_array_elements(groups) loop
    begin
      perform ${OWN_SCHEMA}.show_indexes(array(select jsonb_array_elements_text(g->'shown')::oid),
                                         array(select jsonb_array_elements_text(g->'hidden')::oid));
      perform pg_catalog.set_config(key, value, true) from jsonb_each_text(g->'settings');
      if g->>'role' is not null then
        perform pg_catalog.set_config('role', g->>'role', true);
      end if;
      for r in select value from jsonb_array_elements(g->'requests') loop
        place := r->>'place'; plan := null; state := null; message := null;
        begin
          perform pg_catalog.set_config('search_path', r->>'path', true);
          execute 'explain (format json) ' || (r->>'sql') into plan;
        exception when others then
          get stacked diagnostics state = returned_sqlstate, message = message_text;
        end;
        return next;
      end loop;
      raise exception using errcode = 'IP001';
    exception when sqlstate 'IP001' then null;
    end;
  end loop;
end $function$`;

/** Before a planning session: what it may do that its role may not. */
export const installShowIndexes = async (administrator: Session): Promise<void> => {
  await administrator.script(installToggle);
};

/** Makes {@link explainRequests} available in the session that plans. */
export const installWhatIf = async (session: Session): Promise<void> => {
  await session.script(install);
  // It has no part in costs, and would compile what EXPLAIN only prepares.
  await session.query("set jit = off");
};

/** Which indexes of the shadow stand for those a request names. */
export interface IndexDirectory {
  /** OIDs in the shadow of a candidate's index and, on a partitioned table, of its partitions' indexes. */
  shownFor(candidate: string): readonly number[];
  /** OIDs in the shadow of an existing index and its partitions' indexes. */
  hiddenFor(targetOid: number): readonly number[];
  /** Ids of the candidates that may show up in a plan under this index name. */
  candidatesNamed(planName: string): readonly string[];
  /** The settings of a role that statements can be planned as; undefined for others, whose statements see every row. */
  settingsOf(role: string): Readonly<Record<string, string>> | undefined;
}

/** So many requests go in one message: bounds the time until the first answer, and the size of the message. */
const BATCH = 250;

interface Group {
  readonly role: string | null;
  readonly settings: Readonly<Record<string, string>>;
  readonly shown: number[];
  readonly hidden: number[];
  readonly requests: { readonly place: number; readonly path: string; readonly sql: string }[];
}

/** Plans every request; answers in their order. Requests of one role with the same visible and hidden sets share a toggle. */
export const explainRequests = async (
  session: Session,
  directory: IndexDirectory,
  requests: readonly WhatIfRequest[],
): Promise<WhatIfResult[]> => {
  const results = Array.from<WhatIfResult>({ length: requests.length });
  for (let from = 0; from < requests.length; from += BATCH) {
    const groups = new Map<string, Group>();
    const batch = requests.slice(from, from + BATCH);
    for (const [i, request] of batch.entries()) {
      const shown = [...request.visible].flatMap((id) => directory.shownFor(id)).sort((a, b) => a - b);
      const hidden = [...request.hidden].flatMap((oid) => directory.hiddenFor(oid)).sort((a, b) => a - b);
      const settings = directory.settingsOf(request.scope.role);
      const role = settings === undefined ? null : request.scope.role;
      const key = JSON.stringify([shown, hidden, role]);
      const group = groups.get(key) ?? { role, settings: settings ?? {}, shown, hidden, requests: [] };
      groups.set(key, group);
      group.requests.push({
        place: from + i,
        path: request.scope.searchPath.map(quoteIdentifier).join(", "),
        sql: request.binding.sql,
      });
    }
    const rows = await session.query<{ place: number; plan: string | null; state: string; message: string }>(
      "select place, plan, state, message from pg_temp.what_if($1)",
      [JSON.stringify([...groups.values()])],
    );
    for (const { place, plan, state, message } of rows) {
      const request = requests[place];
      if (request === undefined) throw new Error("the shadow planned a statement that it was not given");
      results[place] =
        plan === null ? { kind: "failed", reason: reasonOf(state, message) } : planned(plan, request, directory);
    }
  }
  return results;
};

const planned = (text: string, request: WhatIfRequest, directory: IndexDirectory): WhatIfResult => {
  const plan = decodePlan(text);
  const used = usedIndexNames(plan)
    .flatMap((name) => directory.candidatesNamed(name))
    .filter((id) => request.visible.has(id));
  return { kind: "planned", plan, totalCost: plan.root.totalCost, usedIndexes: [...new Set(used)] };
};
