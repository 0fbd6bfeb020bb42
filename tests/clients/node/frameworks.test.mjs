// Caches and sessions on node-redis, as their users write them: Keyv and connect-redis with express-session.
import test from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import { once } from 'node:events';
import Keyv from 'keyv';
import KeyvRedis from '@keyv/redis';
import session from 'express-session';
import { RedisStore } from 'connect-redis';
import { createClient } from 'redis';
import common from './common.js';

const { URL, until } = common;
const client = createClient({ url: URL });

test.before(() => client.connect());
test.beforeEach(() => client.flushAll());
test.after(() => client.destroy());

test('Keyv keeps values by namespace, lets them expire, and clears one namespace', async () => {
  const users = new Keyv({ store: new KeyvRedis(URL), namespace: 'users', useKeyPrefix: false });
  const posts = new Keyv({ store: new KeyvRedis(URL), namespace: 'posts', useKeyPrefix: false });
  await users.set('1', { name: 'Ada' });
  await posts.set('1', 'first');
  assert.deepEqual(await users.get('1'), { name: 'Ada' });
  assert.deepEqual(await users.get(['1', '2']), [{ name: 'Ada' }, undefined]);
  await users.set('soon', 1, 20);
  await until(async () => (await users.get('soon')) === undefined, 'a value that expires');
  for (let i = 0; i < 300; i++) await users.set(`many:${i}`, i);
  let seen = 0;
  for await (const [, value] of users.iterator()) seen += value === undefined ? 0 : 1;
  assert.equal(seen, 301);
  await users.clear();
  assert.equal(await users.get('1'), undefined);
  assert.equal(await posts.get('1'), 'first');
  assert.equal(await posts.delete('1'), true);
  await users.disconnect();
  await posts.disconnect();
});

test('connect-redis keeps sessions, prolongs and destroys them', async () => {
  const store = new RedisStore({ client, prefix: 'session:', ttl: 100 });
  const handler = session({ store, secret: 'secret', resave: false, saveUninitialized: false });
  const server = http.createServer((request, response) => {
    handler(request, response, () => {
      const done = () => response.end(String(request.session?.visits ?? 'none'));
      if (request.url === '/leave') return request.session.destroy(done);
      request.session.visits = (request.session.visits ?? 0) + 1;
      return done();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = `http://127.0.0.1:${server.address().port}`;
  const visit = async (path, cookie) => {
    const response = await fetch(address + path, { headers: cookie ? { cookie } : {} });
    return [await response.text(), response.headers.get('set-cookie')?.split(';')[0]];
  };
  const [first, cookie] = await visit('/');
  assert.equal(first, '1');
  assert.equal((await visit('/', cookie))[0], '2');
  const [key] = await client.keys('session:*');
  assert.ok((await client.ttl(key)) > 90);
  const length = await new Promise((resolve, reject) => {
    store.length((error, count) => (error ? reject(error) : resolve(count)));
  });
  assert.equal(length, 1);
  assert.equal((await visit('/leave', cookie))[0], 'none');
  assert.equal(await client.exists(key), 0);
  assert.equal((await visit('/', cookie))[0], '1');
  server.close();
  server.closeAllConnections();
});
