/**
 * PostgreSQL compiled to WebAssembly (PGlite) behind a port of the loopback interface: what plans where no server program runs. One connection at a
 * time, each with a backend of its own; the next one waits. Plain JavaScript in a file of its own, because it is started as a process both from the
 * sources and from the build, by `embedded-supervisor.js`.
 *
 * Its one argument is JSON: `{ data, port, ready, password, settings }`: the data directory to make, a file to write when connections are taken, the
 * file that holds the password, and the lines of the configuration file.
 */
import { timingSafeEqual } from "node:crypto";
import { appendFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";

const order = JSON.parse(process.argv[2] ?? "null");
const password = readFileSync(order.password);
rmSync(order.password);

/** Extensions that bring types, operators and operator classes. */
const extensionNames = [
  "btree_gin",
  "btree_gist",
  "citext",
  "cube",
  "hstore",
  "intarray",
  "ltree",
  "pg_trgm",
  "seg",
  "unaccent",
];
const extensions = Object.fromEntries(
  await Promise.all(
    extensionNames.map(async (name) => [name, (await import(`@electric-sql/pglite/contrib/${name}`))[name]]),
  ),
);

// Codes in place of a protocol version (pqcomm.h).
const SSL_REQUEST = 80877103;
const GSS_REQUEST = 80877104;
const PROTOCOL_3 = 3 << 16;

/** A message of the server's: its type, its length, its body. */
const message = (type, body) => {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};

const cleartextPassword = message("R", Buffer.from([0, 0, 0, 3]));

const fatal = (state, text) => message("E", Buffer.from(`SFATAL\0VFATAL\0C${state}\0M${text}\0\0`));

const databaseOf = (startup) => {
  const words = startup.subarray(8).toString().split("\0");
  const at = words.findIndex((word, i) => i % 2 === 0 && word === "database");
  return at === -1 ? "postgres" : words[at + 1];
};

const isPassword = (given) => given.length === password.length && timingSafeEqual(given, password);

/** A client's messages, one by one. The first has no type byte, nor has what follows a request for encryption. */
async function* messagesOf(socket) {
  let rest = Buffer.alloc(0);
  let head = 0;
  for await (const chunk of socket) {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= head + 4 && rest.length >= head + rest.readUInt32BE(head)) {
      const length = head + rest.readUInt32BE(head);
      const one = rest.subarray(0, length);
      rest = rest.subarray(length);
      if (head === 0 && one.readUInt32BE(4) === PROTOCOL_3) head = 1;
      yield one;
    }
  }
}

const serve = async (socket) => {
  let startup = null;
  let server = null;
  try {
    for await (const given of messagesOf(socket)) {
      const type = startup === null ? null : given.toString("latin1", 0, 1);
      if (startup === null) {
        const code = given.readUInt32BE(4);
        if (code === SSL_REQUEST || code === GSS_REQUEST) socket.write("N");
        else if (code !== PROTOCOL_3) return;
        else {
          startup = given;
          socket.write(cleartextPassword);
        }
      } else if (server === null) {
        if (type !== "p" || !isPassword(given.subarray(5, -1))) {
          socket.end(fatal("28P01", "password authentication failed"));
          return;
        }
        const database = databaseOf(startup);
        try {
          server = await PGlite.create(order.data, { database, extensions });
        } catch (error) {
          socket.end(fatal("3D000", `database "${database}" cannot be opened: ${String(error)}`));
          return;
        }
        socket.write(await server.execProtocolRaw(startup));
      } else {
        if (type === "X") return;
        socket.write(await server.execProtocolRaw(given));
      }
    }
  } finally {
    await server?.close();
    socket.destroy();
  }
};

const first = await PGlite.create(order.data, { initDbStartParams: ["--no-data-checksums"], extensions });
await first.close();
appendFileSync(join(order.data, "postgresql.conf"), `\n${order.settings.join("\n")}\n`);

let last = Promise.resolve();
const listener = createServer((socket) => {
  socket.on("error", () => undefined);
  last = last.then(() => serve(socket)).catch((error) => process.stderr.write(`${String(error?.stack ?? error)}\n`));
});
listener.listen(order.port, "127.0.0.1", () => writeFileSync(order.ready, ""));
for (const signal of ["SIGINT", "SIGTERM", "SIGQUIT"]) process.on(signal, () => process.exit(0));
