// What the Node suites need: where the server is, and waiting for a condition without fixed sleeps.
'use strict';

const { readFileSync } = require('node:fs');

const URL = process.env.MILLRACE_URL;
if (!URL) throw new Error('MILLRACE_URL is not set');
// The same server for who may do everything there: to clean up and look on. A suite may run as a user with few rights.
const CONTROL_URL = process.env.MILLRACE_CONTROL_URL ?? URL;
// Whether URL is of such a user. What it may is in tests/clients/users.rs.
const RESTRICTED = CONTROL_URL !== URL;
// Over TLS (rediss://): the authority that has signed the server's certificate, and what the client shows of itself, if it does.
const fileOf = (variable) => process.env[variable] && readFileSync(process.env[variable]);
const TLS = URL.startsWith('rediss:') && {
  ca: fileOf('MILLRACE_CA'),
  cert: fileOf('MILLRACE_CERT'),
  key: fileOf('MILLRACE_KEY'),
};

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
  const { hostname, port, username, password } = new globalThis.URL(URL);
  const user = username && { username, password };
  return { host: hostname, port: Number(port), ...user, ...(TLS && { tls: TLS }) };
}

// What ioredis wants beside the address.
const ioredis = (options = {}) => ({ ...(TLS && { tls: TLS }), ...options });
// The options of node-redis.
const nodeRedis = (options = {}) => ({ url: URL, ...(TLS && { socket: { tls: true, ...TLS } }), ...options });

// Until `count` clients are blocked, by INFO, whichever client library `info` belongs to.
const blockedClients = (info, count) =>
  until(async () => (await info()).includes(`blocked_clients:${count}\r\n`), `${count} blocked clients`);

module.exports = { URL, CONTROL_URL, RESTRICTED, PATIENCE_MS, connection, ioredis, nodeRedis, until, blockedClients };
