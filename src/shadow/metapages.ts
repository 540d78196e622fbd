import { closeSync, openSync, readSync, writeSync } from "node:fs";
import type { Session } from "../postgres/index.ts";
import { type GinContents, PAGE_BYTES } from "../sizes/index.ts";
import { setLength } from "./storage.ts";

/** Where {@link moveToFreshFiles} puts indexes; a place in the data directory, without costs of its own. */
const TABLESPACE = "indexpilot_fresh";

/** Makes {@link moveToFreshFiles} possible. */
export const makeFreshTablespace = async (administrator: Session): Promise<void> => {
  await administrator.query("set allow_in_place_tablespaces = on");
  await administrator.query(`create tablespace ${TABLESPACE} location ''`);
};

/**
 * Gives indexes new files that no buffer holds a page of: moving to another tablespace copies past the buffers. GIN and BRIN build in the
 * buffers, so that without it the planner would see the metapage of the empty index, not the one that we write.
 */
export const moveToFreshFiles = async (session: Session, indexes: readonly number[]): Promise<void> => {
  if (indexes.length === 0) return;
  await session.query(`select pg_temp.move_indexes($1)`, [indexes]);
};

/** {@link moveToFreshFiles} for every index whose metapage the planner reads and whose build leaves it in the buffers. */
export const moveBuffered = async (session: Session): Promise<void> => {
  const rows = await session.query<{ oid: number }>(
    `select c.oid from pg_class c join pg_am m on m.oid = c.relam
      where m.amname in ('gin', 'brin') and c.relkind = 'i' and c.relpersistence <> 't'`,
  );
  await moveToFreshFiles(
    session,
    rows.map((row) => row.oid),
  );
};

/** Part of a session's preparation. */
export const installMove = async (session: Session): Promise<void> => {
  await session.script(`
create function pg_temp.move_indexes(oids oid[]) returns void language plpgsql as $function$
declare i regclass;
begin
  foreach i in array oids loop
    execute format('alter index %s set tablespace ${TABLESPACE}', i);
  end loop;
end $function$`);
};

// GinMetaPageData and BrinMetaPageData begin where a page's contents do (ginblock.h, brin_page.h; the same in 14 to 18).
const CONTENTS = 24;
const GIN_PENDING_PAGES = CONTENTS + 12;
const GIN_TOTAL_PAGES = CONTENTS + 24;
const GIN_ENTRY_PAGES = CONTENTS + 28;
const GIN_DATA_PAGES = CONTENTS + 32;
const GIN_ENTRIES = CONTENTS + 40;
const BRIN_LAST_REVMAP_PAGE = CONTENTS + 12;

const editMetapage = (file: string, edit: (page: Buffer) => void): void => {
  const descriptor = openSync(file, "r+");
  try {
    const page = Buffer.alloc(PAGE_BYTES);
    readSync(descriptor, page, 0, PAGE_BYTES, 0);
    edit(page);
    writeSync(descriptor, page, 0, PAGE_BYTES, 0);
  } finally {
    closeSync(descriptor);
  }
};

/** Makes the file of an empty GIN index, moved to a fresh file, look like one of this size. */
export const writeGin = (file: string, pages: number, contents: GinContents, pendingPages = 0): void => {
  editMetapage(file, (page) => {
    page.writeUInt32LE(pendingPages, GIN_PENDING_PAGES);
    page.writeUInt32LE(pages, GIN_TOTAL_PAGES);
    page.writeUInt32LE(contents.entryPages, GIN_ENTRY_PAGES);
    page.writeUInt32LE(contents.dataPages, GIN_DATA_PAGES);
    page.writeBigInt64LE(BigInt(contents.entries), GIN_ENTRIES);
  });
  setLength(file, pages);
};

/** Makes the file of an empty BRIN index, moved to a fresh file, look like one of this size. */
export const writeBrin = (file: string, pages: number, revmapPages: number): void => {
  editMetapage(file, (page) => {
    page.writeUInt32LE(revmapPages, BRIN_LAST_REVMAP_PAGE);
  });
  setLength(file, pages);
};
