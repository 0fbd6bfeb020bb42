// ioredis, as its users write it: queues with blocking workers, publish/subscribe, streams and groups, pipelines, MULTI.
'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const Redis = require('ioredis');
const { URL, CONTROL_URL, RESTRICTED, PATIENCE_MS, ioredis, until, blockedClients } = require('./common');

const patience = PATIENCE_MS / 1000;
const open = [];
let r, control;

function connect(options = {}, url = URL) {
  const client = new Redis(url, ioredis(options));
  open.push(client);
  return client;
}
const blocked = (count) => blockedClients(() => control.info('clients'), count);
const fieldsOf = (flat) => Object.fromEntries(flat.map((v, i) => [v, flat[i + 1]]).filter((_, i) => i % 2 === 0));

test.beforeEach(async () => {
  r = connect();
  control = connect({}, CONTROL_URL);
  await control.flushall();
});
test.afterEach(() => {
  for (const client of open.splice(0)) client.disconnect();
});

test('connects, is ready and names itself', async () => {
  const named = connect({ connectionName: 'worker-7', db: 2 });
  assert.equal(await named.ping(), 'PONG');
  assert.equal(await named.client('GETNAME'), 'worker-7');
  await named.set('k', 'v');
  assert.equal(await r.get('k'), null);
  const list = await control.client('LIST');
  assert.match(list, /name=worker-7 .*db=2 /);
});

test('what the user may not is an error', { skip: !RESTRICTED }, async () => {
  const sub = connect();
  for (const denied of [r.flushall(), r.get('OTHERS'), r.publish('OTHERS', 'x'), sub.subscribe('OTHERS'), sub.psubscribe('*')]) {
    await assert.rejects(denied, /^ReplyError: NOPERM /);
  }
  await assert.rejects(r.multi().set('mine', 1).set('OTHERS', 1).exec(), /EXECABORT/);
  assert.equal(await control.dbsize(), 0);
});

test('strings, counters and expiry', async () => {
  assert.equal(await r.set('a', 1, 'EX', 100), 'OK');
  assert.equal(await r.set('a', 2, 'NX'), null);
  assert.equal(await r.incrby('a', 41), 42);
  assert.ok((await r.ttl('a')) > 90);
  assert.deepEqual(await r.mset({ b: 'x', c: 'y' }), 'OK');
  assert.deepEqual(await r.mget('b', 'none', 'c'), ['x', null, 'y']);
  assert.equal(await r.pexpire('b', 20), 1);
  await until(async () => (await r.exists('b')) === 0, 'expiry of b');
  assert.equal(await r.del('a', 'b', 'c'), 2);
});

test('binary values come back to the byte', async () => {
  const value = Buffer.from(Array.from({ length: 4096 }, (_, i) => i % 256));
  await r.rpush('bin', value, Buffer.alloc(0));
  assert.deepEqual(await r.lrangeBuffer('bin', 0, -1), [value, Buffer.alloc(0)]);
});

test('a list works as a queue and as a stack', async () => {
  assert.equal(await r.rpush('l', 'a', 'b', 'c', 'd'), 4);
  assert.deepEqual(await r.lrange('l', 0, -1), ['a', 'b', 'c', 'd']);
  assert.equal(await r.lmove('l', 'm', 'LEFT', 'RIGHT'), 'a');
  assert.equal(await r.lpos('l', 'c'), 1);
  assert.equal(await r.linsert('l', 'AFTER', 'c', 'X'), 4);
  assert.deepEqual(await r.lmpop(2, 'none', 'l', 'RIGHT', 'COUNT', 2), ['l', ['d', 'X']]);
  assert.deepEqual(await r.lpop('l', 10), ['b', 'c']);
  assert.equal(await r.lpop('l'), null);
  await r.set('text', 'x');
  await assert.rejects(r.lpush('text', 'y'), /^ReplyError: WRONGTYPE Operation against a key holding the wrong kind of value$/);
});

test('blocked workers share what is pushed, first come first served', async () => {
  const waiting = [];
  for (let n = 0; n < 3; n++) {
    waiting.push(connect().brpop('high', 'low', patience));
    await blocked(n + 1);
  }
  await r.lpush('low', 'one', 'two');
  await r.lpush('high', 'three');
  assert.deepEqual(await Promise.all(waiting), [['low', 'one'], ['low', 'two'], ['high', 'three']]);
  assert.equal(await r.blpop('none', 0.05), null);
});

test('a reliable queue moves the job while it waits', async () => {
  const job = connect().blmove('todo', 'doing', 'RIGHT', 'LEFT', patience);
  await blocked(1);
  await r.lpush('todo', 'job');
  assert.equal(await job, 'job');
  assert.deepEqual(await r.lrange('doing', 0, -1), ['job']);
  assert.equal(await r.llen('todo'), 0);
});

test('messages reach channel and pattern subscribers in order', async () => {
  const sub = connect();
  const seen = [];
  sub.on('message', (channel, message) => seen.push(['message', channel, message]));
  sub.on('pmessage', (pattern, channel, message) => seen.push(['pmessage', pattern, channel, message]));
  assert.equal(await sub.subscribe('news.tech', 'weather'), 2);
  assert.equal(await sub.psubscribe('news.*'), 3);
  assert.equal(await r.publish('weather', 'rain'), 1);
  assert.equal(await r.publish('news.sport', 'goal'), 1);
  assert.equal(await r.publish('news.tech', 'chip'), 2);
  await until(() => seen.length === 4, 'four messages');
  assert.deepEqual(seen.slice(0, 2), [['message', 'weather', 'rain'], ['pmessage', 'news.*', 'news.sport', 'goal']]);
  assert.deepEqual(seen.slice(2).map((m) => m[0]).sort(), ['message', 'pmessage']);
  await assert.rejects(sub.get('k'), /subscriber mode/);
  assert.equal(await sub.unsubscribe('weather'), 2);
  assert.equal(await r.publish('weather', 'sun'), 0);
  assert.deepEqual(await r.pubsub('NUMSUB', 'news.tech', 'weather'), ['news.tech', 1, 'weather', 0]);
});

test('binary messages reach a subscriber', async () => {
  const sub = connect();
  const payload = Buffer.from([0, 13, 10, 255]);
  const received = new Promise((resolve) => sub.on('messageBuffer', (_, message) => resolve(message)));
  await sub.subscribe('bin');
  await r.publish('bin', payload);
  assert.deepEqual(await received, payload);
});

test('streams: append, range, trim, read', async () => {
  for (let n = 1; n <= 5; n++) assert.equal(await r.xadd('s', `${n}-0`, 'n', n), `${n}-0`);
  assert.equal(await r.xlen('s'), 5);
  assert.deepEqual(await r.xrange('s', '-', '+', 'COUNT', 2), [['1-0', ['n', '1']], ['2-0', ['n', '2']]]);
  assert.deepEqual(await r.xrevrange('s', '+', '(4-0'), [['5-0', ['n', '5']]]);
  assert.deepEqual(await r.xread('COUNT', 1, 'STREAMS', 's', '3-0'), [['s', [['4-0', ['n', '4']]]]]);
  assert.equal(await r.xtrim('s', 'MAXLEN', 1), 4);
  const auto = await r.xadd('s', 'MAXLEN', '~', 1000, '*', 'k', 'v');
  assert.match(auto, /^\d{13}-0$/);
  await assert.rejects(r.xadd('s', '1-0', 'n', 1), /equal or smaller than the target stream top item/);
});

test('a reader blocks for entries of several streams', async () => {
  await r.xadd('s1', '1-0', 'n', 1);
  const waiting = connect().xread('BLOCK', PATIENCE_MS, 'STREAMS', 's1', 's2', '$', '$');
  await blocked(1);
  await r.xadd('s2', '7-0', 'n', 7);
  assert.deepEqual(await waiting, [['s2', [['7-0', ['n', '7']]]]]);
  assert.equal(await r.xread('BLOCK', 20, 'STREAMS', 's1', '$'), null);
});

test('a group of consumers: deliver, acknowledge, pending, reclaim', async () => {
  assert.equal(await r.xgroup('CREATE', 's', 'g', '$', 'MKSTREAM'), 'OK');
  await assert.rejects(r.xgroup('CREATE', 's', 'g', '$'), /^ReplyError: BUSYGROUP Consumer Group name already exists$/);
  for (let n = 1; n <= 6; n++) await r.xadd('s', `${n}-0`, 'n', n);
  const [[, first]] = await r.xreadgroup('GROUP', 'g', 'dead', 'COUNT', 3, 'STREAMS', 's', '>');
  const [[, second]] = await r.xreadgroup('GROUP', 'g', 'live', 'STREAMS', 's', '>');
  assert.deepEqual([...first, ...second].map(([id]) => id), ['1-0', '2-0', '3-0', '4-0', '5-0', '6-0']);
  assert.equal(await r.xack('s', 'g', '4-0', '5-0', '6-0'), 3);
  assert.deepEqual(await r.xpending('s', 'g'), [3, '1-0', '3-0', [['dead', '3']]]);
  await r.xdel('s', '2-0');
  const [cursor, claimed, deleted] = await r.xautoclaim('s', 'g', 'live', 0, '0-0', 'COUNT', 100);
  assert.equal(cursor, '0-0');
  assert.deepEqual(claimed, [['1-0', ['n', '1']], ['3-0', ['n', '3']]]);
  assert.deepEqual(deleted, ['2-0']);
  const rows = await r.xpending('s', 'g', '-', '+', 10, 'live');
  assert.deepEqual(rows.map(([id, consumer, , deliveries]) => [id, consumer, deliveries]), [['1-0', 'live', 2], ['3-0', 'live', 2]]);
  assert.equal(await r.xack('s', 'g', '1-0', '3-0'), 2);
  const group = fieldsOf((await r.xinfo('GROUPS', 's'))[0]);
  assert.deepEqual([group.name, group.pending, group.consumers, group['last-delivered-id']], ['g', 0, 2, '6-0']);
  assert.equal(await r.xgroup('DELCONSUMER', 's', 'g', 'dead'), 0);
  assert.equal(await r.xgroup('DESTROY', 's', 'g'), 1);
});

test('a consumer blocks for work', async () => {
  await r.xgroup('CREATE', 's', 'g', '$', 'MKSTREAM');
  const waiting = connect().xreadgroup('GROUP', 'g', 'c', 'BLOCK', PATIENCE_MS, 'STREAMS', 's', '>');
  await blocked(1);
  await r.xadd('s', '1-0', 'job', 'x');
  assert.deepEqual(await waiting, [['s', [['1-0', ['job', 'x']]]]]);
});

test('pipelines answer in order, errors in their place', async () => {
  const replies = await r.pipeline().set('n', 1).incr('n').lpush('n', 'x').rpush('q', 'a').lrange('q', 0, -1).exec();
  assert.deepEqual(replies.map(([, value]) => value), ['OK', 2, undefined, 1, ['a']]);
  assert.match(replies[2][0].message, /^WRONGTYPE/);
});

test('many concurrent commands are pipelined automatically and keep their order', async () => {
  const auto = connect({ enableAutoPipelining: true });
  const lengths = await Promise.all(Array.from({ length: 2000 }, (_, n) => auto.rpush(`q:${n % 10}`, n)));
  assert.deepEqual(lengths, Array.from({ length: 2000 }, (_, n) => Math.floor(n / 10) + 1));
});

test('MULTI runs whole, WATCH aborts it', async () => {
  assert.deepEqual(await r.multi().lpush('from', 'x').lmove('from', 'to', 'LEFT', 'LEFT').llen('from').exec(), [
    [null, 1],
    [null, 'x'],
    [null, 0],
  ]);
  await assert.rejects(r.multi().set('never', 'x').call('NOSUCHCOMMAND').exec(), /EXECABORT/);
  assert.equal(await r.get('never'), null);
  const watcher = connect();
  await watcher.watch('balance');
  await r.set('balance', 5);
  assert.equal(await watcher.multi().set('balance', 10).exec(), null);
  assert.equal(await r.get('balance'), '5');
});

test('scanStream walks every key', async () => {
  const pipeline = r.pipeline();
  for (let n = 0; n < 1000; n++) pipeline.set(`key:${n}`, n);
  await pipeline.exec();
  const seen = new Set();
  for await (const keys of r.scanStream({ match: 'key:*', count: 50 })) keys.forEach((key) => seen.add(key));
  assert.equal(seen.size, 1000);
});

test('a killed connection comes back and resubscribes', async () => {
  const sub = connect({ retryStrategy: () => 10 });
  const seen = [];
  sub.on('message', (_, message) => seen.push(message));
  await sub.subscribe('c');
  assert.equal(await control.client('KILL', 'TYPE', 'pubsub'), 1);
  await until(async () => (await r.publish('c', 'again')) === 1, 'resubscription');
  await until(() => seen.length === 1, 'the message');
  assert.deepEqual(seen, ['again']);
});
