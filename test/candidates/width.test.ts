import { afterAll, beforeAll, expect, it } from "vitest";
import { generateCandidates } from "../../src/candidates/index.ts";
import { type EmbeddedServer, startEmbedded } from "../../src/embedded/index.ts";
import {
  openSession,
  readCatalog,
  renderCreateIndex,
  resolveConnection,
  type Session,
} from "../../src/postgres/index.ts";
import { access } from "../catalog.ts";

let server: EmbeddedServer;
let session: Session;
beforeAll(async () => {
  server = await startEmbedded({ major: 18 });
  session = await openSession(resolveConnection(server.url(), {}), "build");
});
afterAll(async () => {
  await session.close();
  await server.stop();
});

it("the widest index that is proposed takes any value its columns allow; one that is declined would not", async () => {
  // Four bytes a character, and nothing to compress: the largest values of each type. 664 characters fit a B-tree page, 680 do not.
  await session.script(`
    create table wide (fits varchar(664), pair varchar(330), other varchar(328), too_wide varchar(680));
    insert into wide select (array['a'])[1], 'a', 'a', 'a' from generate_series(1, 20000);
    create function largest(length int, seed int) returns text language sql as
      $$ select string_agg(chr(65536 + (hashint8(seed::bigint * 100000 + n) & 65535)), '') from generate_series(1, length) as n $$;
    analyze wide;`);
  const columns = ["fits", "pair", "other", "too_wide"];
  const { candidates, declined } = generateCandidates({
    statements: [
      { statementId: "s", accesses: [access("wide", { equality: columns.slice(0, 1) })] },
      { statementId: "t", accesses: [access("wide", { equality: columns.slice(1, 3) })] },
      { statementId: "u", accesses: [access("wide", { equality: columns.slice(3) })] },
    ],
    catalog: await readCatalog(session),
  });
  expect(candidates.map(({ definition }) => definition.keys.map((key) => key.column).join())).toEqual(
    expect.arrayContaining(["fits", "other,pair"]),
  );
  for (const { definition } of candidates) {
    await session.query(renderCreateIndex(definition, null, { concurrently: false }));
  }
  await session.query(
    "insert into wide (fits, pair, other) select largest(664, n), largest(330, n), largest(328, n) from generate_series(1, 20) as n",
  );

  expect(declined.map((one) => [one.code, one.definition.keys[0]?.column])).toEqual([["unbounded_width", "too_wide"]]);
  await session.query("create index on wide (too_wide)");
  await expect(session.query("insert into wide (too_wide) values (largest(680, 1))")).rejects.toMatchObject({
    code: "54000",
  });
});
