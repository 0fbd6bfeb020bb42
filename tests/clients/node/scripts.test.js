// Scripts and functions as the two Node clients offer them: ioredis' commands, node-redis' scripts and functions.
'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const Redis = require('ioredis');
const { RESP_TYPES, createClient, defineScript } = require('redis');
const { URL } = require('./common');

const TAKE = `
  local taken = redis.call('LRANGE', KEYS[1], 0, ARGV[1] - 1)
  redis.call('LTRIM', KEYS[1], ARGV[1], -1)
  if #taken > 0 then redis.call('RPUSH', KEYS[2], unpack(taken)) end
  return taken`;
const LIBRARY = `#!lua name=counting
  redis.register_function('add', function(keys, args)
    return redis.call('INCRBY', keys[1], args[1])
  end)
  redis.register_function{
    function_name = 'read',
    callback = function(keys) return redis.call('GET', keys[1]) end,
    flags = { 'no-writes' },
  }`;

const io = new Redis(URL);

test.beforeEach(async () => {
  await io.flushall();
  await io.script('FLUSH');
  await io.function('FLUSH');
});
test.after(() => io.disconnect());

test('a command defined in ioredis runs by its digest, and its text is sent where the server does not know it', async () => {
  io.defineCommand('take', { numberOfKeys: 2, lua: TAKE });
  await io.rpush('from', 'a', 'b', 'c');
  assert.deepEqual(await io.take('from', 'to', 2), ['a', 'b']);
  await io.script('FLUSH');
  assert.deepEqual(await io.take('from', 'to', 2), ['c']);
  assert.deepEqual(await io.lrange('to', 0, -1), ['a', 'b', 'c']);
  assert.match(await io.info('commandstats'), /cmdstat_evalsha:/);
});

test('a command of ioredis runs in pipelines and transactions, and hands on bytes', async () => {
  io.defineCommand('setAndGet', { numberOfKeys: 1, lua: "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])" });
  const bytes = Buffer.from([0, 1, 255, 13, 10, 0]);
  assert.deepEqual(await io.setAndGetBuffer('k', bytes), bytes);
  const replies = await io.pipeline().setAndGet('a', 1).setAndGet('b', 2).get('a').exec();
  assert.deepEqual(replies, [[null, '1'], [null, '2'], [null, '1']]);
  const many = await io.multi().setAndGet('a', 3).incr('a').setAndGet('b', 4).exec();
  assert.deepEqual(many, [[null, '3'], [null, 4], [null, '4']]);
});

test("a script's replies and errors are those of the client", async () => {
  const evaluate = (lua, ...args) => io.eval(lua, 0, ...args);
  assert.deepEqual(await evaluate("return {1, 'two', {3, false}, 4.9, true}"), [1, 'two', [3, null], 4, 1]);
  assert.equal(await evaluate("return redis.status_reply('FINE')"), 'FINE');
  assert.equal(await evaluate('return cjson.encode(cjson.decode(ARGV[1]))', '{"a":[1,2.5,null]}'), '{"a":[1,2.5,null]}');
  await assert.rejects(evaluate("return redis.error_reply('MINE no')"), { name: 'ReplyError', message: 'MINE no' });
  await assert.rejects(evaluate("redis.call('SET', 'k', 'v') error('late')"), /late script: [0-9a-f]{40}, on @user_script:1\./);
  assert.equal(await io.get('k'), 'v');
  await assert.rejects(io.evalsha('f'.repeat(40), 0), /^ReplyError: NOSCRIPT No matching script/);
});

test('a script that pushes wakes a client that waits', async () => {
  const waiter = io.duplicate();
  const popped = waiter.blpop('queue', 20);
  await new Promise((resolve) => waiter.once('ready', resolve));
  await require('./common').blockedClients(() => io.info('clients'), 1);
  await io.eval("redis.call('RPUSH', KEYS[1], 'a', 'b') redis.call('LPUSH', KEYS[1], 'first') return 1", 1, 'queue');
  assert.deepEqual(await popped, ['queue', 'first']);
  assert.deepEqual(await io.lrange('queue', 0, -1), ['a', 'b']);
  waiter.disconnect();
});

for (const RESP of [2, 3]) {
  test(`node-redis runs scripts of its own over RESP${RESP}`, async () => {
    const client = createClient({
      url: URL,
      RESP,
      scripts: {
        take: defineScript({
          SCRIPT: TAKE,
          NUMBER_OF_KEYS: 2,
          parseCommand(parser, from, to, count) {
            parser.pushKey(from);
            parser.pushKey(to);
            parser.push(String(count));
          },
          transformReply: undefined,
        }),
      },
    });
    await client.connect();
    await client.rPush('from', ['a', 'b', 'c', 'd']);
    assert.deepEqual(await client.take('from', 'to', 1), ['a']);
    await client.scriptFlush();
    assert.deepEqual(await client.take('from', 'to', 1), ['b']);
    const [first, length] = await client.multi().take('from', 'to', 2).lLen('to').exec();
    assert.deepEqual([first, length], [['c', 'd'], 4]);
    client.destroy();
  });

  test(`node-redis loads and calls functions over RESP${RESP}`, async () => {
    const readOnly = (name, FIRST) => ({
      NUMBER_OF_KEYS: 1,
      IS_READ_ONLY: FIRST,
      parseCommand(parser, key, ...args) {
        parser.pushKey(key);
        args.forEach((arg) => parser.push(String(arg)));
      },
      transformReply: undefined,
    });
    const functions = { counting: { add: readOnly('add', false), read: readOnly('read', true) } };
    const client = createClient({ url: URL, RESP, functions });
    await client.connect();
    assert.equal(await client.functionLoad(LIBRARY), 'counting');
    await assert.rejects(client.functionLoad(LIBRARY), /already exists/);
    assert.equal(await client.functionLoad(LIBRARY, { REPLACE: true }), 'counting');
    assert.equal(await client.counting.add('n', 40), 40);
    assert.equal(await client.counting.add('n', 2), 42);
    assert.equal(await client.counting.read('n'), '42');
    await assert.rejects(client.fCallRo('add', { keys: ['n'], arguments: ['1'] }), /Can not execute a script with write flag/);
    const [library] = await client.functionList();
    assert.equal(library.library_name, 'counting');
    const dump = await client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }).functionDump();
    await client.functionFlush();
    assert.deepEqual(await client.functionList(), []);
    await client.functionRestore(dump);
    assert.equal(await client.counting.read('n'), '42');
    assert.equal(await client.functionDelete('counting'), 'OK');
    await assert.rejects(client.counting.read('n'), /Function not found/);
    client.destroy();
  });
}
