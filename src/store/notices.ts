import { type RawBuilder, sql } from "kysely";
import type { Notice } from "../domain/index.ts";
import type { Database } from "./database.ts";

/** A notice that was not delivered yet. */
export interface PendingNotice {
  readonly notice: Notice;
  /** So far. */
  readonly attempts: number;
}

export interface NoticeRepository {
  /**
   * Makes notices of what was recorded since the last time. The history itself is the outbox: what a killed process recorded is found here by the next one.
   * `deliver` false: there is nobody to tell, and nothing waits.
   * @returns the new ones, oldest first
   */
  collect(now: Date, deliver: boolean): Promise<readonly Notice[]>;
  /** What is due, oldest first. */
  due(now: Date, limit: number): Promise<readonly PendingNotice[]>;
  delivered(key: string, at: Date): Promise<void>;
  /** `retryAt`: when to try again. */
  failed(key: string, error: string, retryAt: Date): Promise<void>;
  /** How many wait. */
  waiting(): Promise<number>;
}

/** Rows are written with their author's clock, and seen when they are committed: look so far back again. */
const OVERLAP_MS = 600_000;

interface Row {
  readonly key: string;
  readonly at: Date;
  readonly kind: Notice["kind"];
  readonly subject: string;
  readonly outcome: string;
  readonly code: string;
  readonly reason: string | null;
  readonly actor: string | null;
  readonly deployment_id: string | null;
  readonly index_name: string | null;
  readonly table_name: string | null;
  readonly attempts: number;
}

const fromRow = (row: Row): Notice => ({
  key: row.key,
  at: row.at,
  kind: row.kind,
  subject: row.subject,
  outcome: row.outcome,
  code: row.code,
  reason: row.reason ?? "",
  actor: row.actor,
  deployment:
    row.deployment_id === null
      ? null
      : { id: row.deployment_id, index: row.index_name ?? "", table: row.table_name ?? "" },
});

export const noticeRepository = (db: Database, installationId: number): NoticeRepository => {
  /** Notices with what they tell of. Reads only. */
  const told = (where: RawBuilder<unknown>, limit: number): RawBuilder<Row> => sql<Row>`
    select n.key, n.at, n.attempts, split_part(n.key, ':', 1) as kind,
           coalesce(d.subject, e.event) as subject, coalesce(d.outcome, e.to_state) as outcome,
           coalesce(d.code, e.event) as code, coalesce(d.reason, e.detail ->> 'reason') as reason, e.actor,
           p.id as deployment_id, p.index_name, p.table_schema || '.' || p.table_name as table_name
      from indexpilot.notice n
      left join indexpilot.decision d
        on n.key like 'decision:%' and d.id = case when n.key like 'decision:%' then split_part(n.key, ':', 2)::bigint end
      left join indexpilot.deployment_event e
        on n.key like 'transition:%' and e.id = case when n.key like 'transition:%' then split_part(n.key, ':', 2)::bigint end
      left join indexpilot.deployment p on p.id = coalesce(d.deployment_id, e.deployment_id)
     where n.installation_id = ${installationId} and coalesce(d.id, e.id) is not null and ${where}
     order by n.at, n.key limit ${limit}`;
  return {
    collect: (now, deliver) =>
      db.transaction().execute(async (transaction) => {
        const cursor = await sql<{ read_to: Date }>`
          insert into indexpilot.notice_cursor (installation_id, read_to) values (${installationId}, ${now})
          on conflict (installation_id) do update set read_to = notice_cursor.read_to
          returning read_to`.execute(transaction);
        const from = new Date((cursor.rows[0]?.read_to ?? now).getTime() - OVERLAP_MS);
        const made = await sql<{ key: string }>`
          insert into indexpilot.notice (installation_id, key, at, attempts, due_at, delivered_at)
          select ${installationId}, news.key, news.at, 0, ${now}, ${deliver ? null : now}
            from (select 'decision:' || id as key, at from indexpilot.decision
                   where installation_id = ${installationId} and at >= ${from} and subject <> 'decline'
                  union all
                  select 'transition:' || e.id, e.at
                    from indexpilot.deployment_event e join indexpilot.deployment d on d.id = e.deployment_id
                   where d.installation_id = ${installationId} and e.at >= ${from}) as news
          on conflict do nothing
          returning key`.execute(transaction);
        await sql`
          update indexpilot.notice_cursor set read_to = greatest(read_to, ${now})
           where installation_id = ${installationId} and read_to < ${new Date(now.getTime() - OVERLAP_MS / 10)}`.execute(
          transaction,
        );
        if (made.rows.length === 0) return [];
        const keys = made.rows.map(({ key }) => key);
        const { rows } = await told(sql`n.key = any(${keys}::text[])`, keys.length).execute(transaction);
        return rows.map(fromRow);
      }),
    async due(now, limit) {
      const { rows } = await told(sql`n.delivered_at is null and n.due_at <= ${now}`, limit).execute(db);
      return rows.map((row) => ({ notice: fromRow(row), attempts: row.attempts }));
    },
    async delivered(key, at) {
      await db
        .updateTable("notice")
        .set((row) => ({ delivered_at: at, attempts: row("attempts", "+", 1), last_error: null }))
        .where("installation_id", "=", installationId)
        .where("key", "=", key)
        .execute();
    },
    async failed(key, error, retryAt) {
      await db
        .updateTable("notice")
        .set((row) => ({ due_at: retryAt, attempts: row("attempts", "+", 1), last_error: error }))
        .where("installation_id", "=", installationId)
        .where("key", "=", key)
        .execute();
    },
    async waiting() {
      const row = await db
        .selectFrom("notice")
        .select((of) => of.fn.countAll<string>().as("n"))
        .where("installation_id", "=", installationId)
        .where("delivered_at", "is", null)
        .executeTakeFirst();
      return Number(row?.n ?? 0);
    },
  };
};
