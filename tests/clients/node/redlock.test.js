// redlock over ioredis, as its users write it: version 5, and version 4, which `npm install redlock` still gives.
'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const Redis = require('ioredis');
const Redlock = require('redlock').default;
const RedlockFour = require('redlock-4');
const { URL, until } = require('./common');

const client = new Redis(URL);
// No patience with a lock that is taken, and no allowance for drift: a lock here is held for as long as it says.
const settings = { retryCount: 0, driftFactor: 0 };
const patient = { retryCount: -1, retryDelay: 10, retryJitter: 5 };
const newLocks = (options = settings) => {
  const locks = new Redlock([client], options);
  locks.on('error', () => {}); // a lock that is taken is reported here too
  return locks;
};

test.beforeEach(() => client.flushall());
test.after(() => client.disconnect());

test('a lock on several resources is taken whole or not at all', async () => {
  const locks = newLocks();
  const lock = await locks.acquire(['a', 'b', 'c'], 60_000);
  assert.deepEqual(await client.mget('a', 'b', 'c'), [lock.value, lock.value, lock.value]);
  assert.ok((await client.pttl('c')) > 50_000);
  await assert.rejects(locks.acquire(['d', 'b'], 60_000), { name: 'ExecutionError' });
  assert.equal(await client.exists('d'), 0);
  const other = await locks.acquire(['d', 'e'], 60_000);
  await lock.release();
  assert.equal(await client.exists('a', 'b', 'c'), 0);
  assert.equal(await client.exists('d', 'e'), 2);
  await other.release();
});

test('a lock is extended by its owner and not when another has it', async () => {
  const locks = newLocks();
  const lock = await locks.acquire(['a', 'b'], 5_000);
  const longer = await lock.extend(60_000);
  assert.ok((await client.pttl('a')) > 50_000 && (await client.pttl('b')) > 50_000);
  await client.set('b', 'another');
  await assert.rejects(longer.extend(60_000), { name: 'ExecutionError' });
  await assert.rejects(longer.release(), { name: 'ExecutionError' });
  assert.deepEqual(await client.mget('a', 'b'), [null, 'another']);
});

test('a lock that is waited for is had when the other is released or ends', async () => {
  const locks = newLocks();
  const first = await locks.acquire(['a'], 60_000);
  let waits = true;
  const second = newLocks(patient)
    .acquire(['a', 'b'], 50)
    .finally(() => (waits = false));
  assert.equal(waits, true);
  await first.release();
  await second;
  // Not released: it ends by itself.
  await newLocks(patient).acquire(['b', 'a'], 60_000);
});

test('work under a lock prolongs it and excludes others', async () => {
  const locks = newLocks({ ...patient, automaticExtensionThreshold: 9_000 });
  let [inside, most, ran] = [0, 0, 0];
  const work = (signal) => async () => {
    most = Math.max(most, ++inside);
    await new Promise((resolve) => setImmediate(resolve));
    inside--;
    ran++;
    assert.equal(signal?.aborted ?? false, false);
  };
  await Promise.all(
    Array.from({ length: 10 }, (_, i) => locks.using(['x', `y${i % 2}`], 10_000, (signal) => work(signal)())),
  );
  assert.deepEqual([most, ran], [1, 10]);
  // The lock has 10 s and is extended when 9 are left: it goes up from less than that.
  await locks.using(['x'], 10_000, async () => {
    let least = await client.pttl('x');
    await until(async () => {
      const now = await client.pttl('x');
      const rose = now > least;
      least = Math.min(least, now);
      return rose;
    }, 'an extension');
  });
  assert.equal(await client.exists('x', 'y0', 'y1'), 0);
});

test('with three clients a lock needs two of them', async () => {
  const databases = [0, 1, 2].map((db) => new Redis(URL, { db }));
  const three = new Redlock(databases, settings);
  three.on('error', () => {});
  await databases[0].set('a', 'another');
  const lock = await three.acquire(['a'], 60_000);
  assert.deepEqual(await Promise.all(databases.map((each) => each.get('a'))), ['another', lock.value, lock.value]);
  await databases[1].set('a', 'another');
  await assert.rejects(lock.extend(60_000), { name: 'ExecutionError' });
  for (const each of databases) each.disconnect();
});

test('version 4 locks, extends and unlocks several resources', async () => {
  const locks = new RedlockFour([client], { retryCount: 0, driftFactor: 0 });
  locks.on('clientError', () => {});
  const lock = await locks.lock(['a', 'b'], 5_000);
  await assert.rejects(locks.lock('b', 5_000), { name: 'LockError' });
  await lock.extend(60_000);
  assert.ok((await client.pttl('b')) > 50_000);
  await lock.unlock();
  assert.equal(await client.exists('a', 'b'), 0);
  await assert.rejects(lock.unlock(), { name: 'LockError' });
});
