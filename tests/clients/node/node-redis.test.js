// node-redis, over RESP2 and RESP3, as its users write it.
'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { createClient, BasicClientSideCache, WatchError } = require('redis');
const { CONTROL_URL, RESTRICTED, PATIENCE_MS, nodeRedis, until, blockedClients } = require('./common');

const patience = PATIENCE_MS / 1000;

// Replies to maps and fields come as plain objects or as objects without prototype: compare their contents.
const plain = (value) => JSON.parse(JSON.stringify(value));

// XREAD and XREADGROUP: node-redis hands RESP3's map of streams on untransformed, so it is brought to RESP2's shape here.
function streamsOf(reply) {
  if (reply === null || Array.isArray(reply)) return reply && plain(reply);
  return Object.entries(reply).map(([name, entries]) => ({
    name,
    messages: entries.map(([id, flat]) => {
      const message = {};
      for (let i = 0; i < flat.length; i += 2) message[flat[i]] = flat[i + 1];
      return { id, message };
    }),
  }));
}

for (const RESP of [2, 3]) {
  test.describe(`RESP${RESP}`, () => {
    const open = [];
    let r, control;

    async function connect(options = {}) {
      const client = createClient(nodeRedis({ RESP, unstableResp3: true, ...options }));
      client.on('error', () => {}); // reported by the calls that fail
      open.push(client);
      await client.connect();
      return client;
    }
    const blocked = (count) => blockedClients(() => control.info('clients'), count);

    test.beforeEach(async () => {
      r = await connect();
      control = await connect({ url: CONTROL_URL });
      await control.flushAll();
    });
    test.afterEach(() => {
      for (const client of open.splice(0)) client.destroy();
    });

    test('connects, introduces itself and selects a database', async () => {
      const named = await connect({ name: 'worker-7', database: 2 });
      assert.equal(await named.ping(), 'PONG');
      const info = await named.clientInfo();
      assert.equal(info.name, 'worker-7');
      assert.equal(info.db, 2);
      assert.match(info.libName, /node-redis/);
      await named.set('k', 'v');
      assert.equal(await r.get('k'), null);
      assert.equal(await named.dbSize(), 1);
    });

    test('what the user may not is an error', { skip: !RESTRICTED }, async () => {
      const sub = await connect();
      for (const denied of [
        () => r.flushAll(),
        () => r.get('OTHERS'),
        () => r.publish('OTHERS', 'x'),
        () => sub.subscribe('OTHERS', () => {}),
      ]) {
        await assert.rejects(denied, /NOPERM /);
      }
      await assert.rejects(r.multi().set('mine', '1').set('OTHERS', '1').exec());
      assert.equal(await control.dbSize(), 0);
    });

    test('strings, counters and expiry', async () => {
      assert.equal(await r.set('a', '1', { EX: 100 }), 'OK');
      assert.equal(await r.set('a', '2', { NX: true }), null);
      assert.equal(await r.set('a', '2', { XX: true, GET: true, KEEPTTL: true }), '1');
      assert.equal(await r.incrBy('a', 40), 42);
      assert.ok((await r.ttl('a')) > 90);
      assert.deepEqual(await r.mGet(['a', 'none']), ['42', null]);
      assert.equal(await r.getDel('a'), '42');
      assert.equal(await r.exists('a'), 0);
    });

    test('a list works as a queue', async () => {
      assert.equal(await r.rPush('l', ['a', 'b', 'c', 'd']), 4);
      assert.equal(await r.lMove('l', 'm', 'LEFT', 'RIGHT'), 'a');
      assert.equal(await r.lPos('l', 'c'), 1);
      assert.equal(await r.lInsert('l', 'AFTER', 'c', 'X'), 4);
      assert.deepEqual(await r.lmPop(['none', 'l'], 'RIGHT', { COUNT: 2 }), ['l', ['d', 'X']]);
      assert.deepEqual(await r.lPopCount('l', 10), ['b', 'c']);
      assert.equal(await r.lPop('l'), null);
      await r.set('text', 'x');
      await assert.rejects(r.lPush('text', 'y'), /WRONGTYPE Operation against a key holding the wrong kind of value/);
    });

    test('a blocked worker receives what is pushed later', async () => {
      const worker = await connect();
      const waiting = worker.brPop(['high', 'low'], patience);
      await blocked(1);
      await r.lPush('low', 'job');
      assert.deepEqual(plain(await waiting), { key: 'low', element: 'job' });
      const moving = worker.blMove('todo', 'doing', 'RIGHT', 'LEFT', patience);
      await blocked(1);
      await r.lPush('todo', 'next');
      assert.equal(await moving, 'next');
      assert.deepEqual(await r.lRange('doing', 0, -1), ['next']);
      assert.equal(await r.blPop('none', 0.05), null);
    });

    test('messages reach channel, pattern and sharded subscribers', async () => {
      const sub = await connect();
      const seen = [];
      const listener = (kind) => (message, channel) => seen.push(`${kind} ${channel} ${message}`);
      await sub.subscribe('news.tech', listener('plain'));
      await sub.pSubscribe('news.*', listener('pattern'));
      await sub.sSubscribe('shard-channel', listener('sharded'));
      assert.equal(await r.publish('news.tech', 'chip'), 2);
      assert.equal(await r.publish('news.sport', 'goal'), 1);
      assert.equal(await r.sPublish('shard-channel', 's'), 1);
      await until(() => seen.length === 4, 'four messages');
      assert.deepEqual([...seen].sort(), [
        'pattern news.sport goal',
        'pattern news.tech chip',
        'plain news.tech chip',
        'sharded shard-channel s',
      ]);
      await sub.unsubscribe('news.tech');
      assert.equal(await r.publish('news.tech', 'again'), 1);
      assert.deepEqual(await r.pubSubChannels('news.*'), []);
      if (RESP === 3) assert.equal(await sub.ping(), 'PONG', 'a subscribed RESP3 connection takes commands');
    });

    test('streams: append, range, trim, read', async () => {
      for (let n = 1; n <= 5; n++) assert.equal(await r.xAdd('s', `${n}-0`, { n: String(n) }), `${n}-0`);
      assert.equal(await r.xLen('s'), 5);
      assert.deepEqual(plain(await r.xRange('s', '2-0', '(4-0')), [
        { id: '2-0', message: { n: '2' } },
        { id: '3-0', message: { n: '3' } },
      ]);
      assert.equal(await r.xTrim('s', 'MAXLEN', 2), 3);
      assert.deepEqual(streamsOf(await r.xRead({ key: 's', id: '4-0' })), [
        { name: 's', messages: [{ id: '5-0', message: { n: '5' } }] },
      ]);
      const options = { TRIM: { strategy: 'MAXLEN', strategyModifier: '~', threshold: 1000 } };
      assert.match(await r.xAdd('s', '*', { k: 'v' }, options), /^\d{13}-0$/);
      const info = await r.xInfoStream('s');
      assert.equal(info.length, 3);
      assert.equal(info['first-entry'].id, '4-0');
    });

    test('a reader blocks for entries of several streams', async () => {
      await r.xAdd('s1', '1-0', { n: '1' });
      const reader = await connect();
      const waiting = reader.xRead([{ key: 's1', id: '$' }, { key: 's2', id: '$' }], { BLOCK: PATIENCE_MS });
      await blocked(1);
      await r.xAdd('s2', '7-0', { n: '7' });
      assert.deepEqual(streamsOf(await waiting), [{ name: 's2', messages: [{ id: '7-0', message: { n: '7' } }] }]);
      assert.equal(await r.xRead({ key: 's1', id: '$' }, { BLOCK: 20 }), null);
    });

    test('a group of consumers: deliver, acknowledge, pending, reclaim', async () => {
      assert.equal(await r.xGroupCreate('s', 'g', '$', { MKSTREAM: true }), 'OK');
      await assert.rejects(r.xGroupCreate('s', 'g', '$'), /BUSYGROUP Consumer Group name already exists/);
      for (let n = 1; n <= 6; n++) await r.xAdd('s', `${n}-0`, { n: String(n) });
      const [{ messages: first }] = streamsOf(await r.xReadGroup('g', 'dead', { key: 's', id: '>' }, { COUNT: 3 }));
      const [{ messages: second }] = streamsOf(await r.xReadGroup('g', 'live', { key: 's', id: '>' }));
      assert.deepEqual([...first, ...second].map(({ id }) => id), ['1-0', '2-0', '3-0', '4-0', '5-0', '6-0']);
      assert.equal(await r.xAck('s', 'g', ['4-0', '5-0', '6-0']), 3);
      const pending = plain(await r.xPending('s', 'g'));
      assert.deepEqual([pending.pending, pending.firstId, pending.lastId], [3, '1-0', '3-0']);
      const claimed = await r.xAutoClaim('s', 'g', 'live', 0, '0-0', { COUNT: 100 });
      assert.equal(claimed.nextId, '0-0');
      assert.deepEqual(claimed.messages.map(({ id }) => id), ['1-0', '2-0', '3-0']);
      const rows = await r.xPendingRange('s', 'g', '-', '+', 10, { consumer: 'live' });
      assert.deepEqual(rows.map((row) => [row.id, row.deliveriesCounter]), [['1-0', 2], ['2-0', 2], ['3-0', 2]]);
      assert.equal(await r.xAck('s', 'g', ['1-0', '2-0', '3-0']), 3);
      const [group] = await r.xInfoGroups('s');
      assert.deepEqual([group.name, group.pending, group.lag, group['entries-read']], ['g', 0, 0, 6]);
      const consumers = await r.xInfoConsumers('s', 'g');
      assert.deepEqual(consumers.map(({ name }) => name).sort(), ['dead', 'live']);
      assert.equal(await r.xGroupDelConsumer('s', 'g', 'dead'), 0);
    });

    test('a consumer blocks for work', async () => {
      await r.sendCommand(['XGROUP', 'CREATE', 's', 'g', '0', 'MKSTREAM']);
      const consumer = await connect();
      const waiting = consumer.xReadGroup('g', 'c', { key: 's', id: '>' }, { BLOCK: PATIENCE_MS, COUNT: 5 });
      await blocked(1);
      const id = await r.xAdd('s', '*', { job: 'x' });
      assert.deepEqual(streamsOf(await waiting), [{ name: 's', messages: [{ id, message: { job: 'x' } }] }]);
    });

    test('commands issued together are pipelined and keep their order', async () => {
      const lengths = await Promise.all(Array.from({ length: 2000 }, (_, n) => r.rPush(`q:${n % 10}`, String(n))));
      assert.deepEqual(lengths, Array.from({ length: 2000 }, (_, n) => Math.floor(n / 10) + 1));
    });

    test('a transaction runs whole; WATCH aborts it', async () => {
      assert.deepEqual(await r.multi().lPush('from', 'x').lMove('from', 'to', 'LEFT', 'LEFT').lLen('from').exec(), [1, 'x', 0]);
      const watcher = await connect();
      await watcher.watch('balance');
      await r.set('balance', '5');
      await assert.rejects(watcher.multi().set('balance', '10').exec(), WatchError);
      assert.equal(await r.get('balance'), '5');
      await watcher.watch('balance');
      assert.deepEqual(await watcher.multi().set('balance', '10').get('balance').exec(), ['OK', '10']);
    });

    if (RESP === 3) {
      test('a client-side cache is told of changes', async () => {
        const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 0 });
        const cached = await connect({ clientSideCache: cache });
        const keys = Array.from({ length: 50 }, (_, n) => `key:${n}`);
        await r.mSet(keys.map((key) => [key, 'old']));
        for (const key of keys) assert.equal(await cached.get(key), 'old');
        assert.equal(cache.stats().missCount, keys.length);
        for (const key of keys) assert.equal(await cached.get(key), 'old');
        assert.equal(cache.stats().hitCount, keys.length);
        await r.mSet(keys.map((key) => [key, 'new']));
        for (const key of keys) await until(async () => (await cached.get(key)) === 'new', `the new value of ${key}`);
        await control.flushAll();
        await until(async () => (await cached.get(keys[7])) === null, 'the end of a key');
      });
    }

    test('scanIterator walks every key', async () => {
      const entries = Array.from({ length: 1000 }, (_, n) => [`key:${n}`, String(n)]);
      assert.equal(await r.mSet(entries), 'OK');
      const seen = new Set();
      for await (const keys of r.scanIterator({ MATCH: 'key:*', COUNT: 50 })) for (const key of keys) seen.add(key);
      assert.equal(seen.size, 1000);
    });
  });
}
