// What the Node suites need: where the server is, and waiting for a condition without fixed sleeps.
'use strict';

const URL = process.env.MILLRACE_URL;
if (!URL) throw new Error('MILLRACE_URL is not set');

// How long a test waits for something that should happen at once. Reached only when it does not happen.
const PATIENCE_MS = 20_000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Polls `probe` until it answers something true.
async function until(probe, what) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`waited ${PATIENCE_MS} ms in vain for: ${what}`);
    await pause(5);
  }
}

// The server as the options of ioredis, which BullMQ and Bull hand on.
function connection() {
  const { hostname, port } = new globalThis.URL(URL);
  return { host: hostname, port: Number(port) };
}

// Until `count` clients are blocked, by INFO, whichever client library `info` belongs to.
const blockedClients = (info, count) =>
  until(async () => (await info()).includes(`blocked_clients:${count}\r\n`), `${count} blocked clients`);

module.exports = { URL, PATIENCE_MS, connection, until, blockedClients };
