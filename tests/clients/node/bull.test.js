// Bull, BullMQ's predecessor, as its users write it: add, process, delay, retry, priority, pause, stalled jobs, repeat.
'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const Queue = require('bull');
const Redis = require('ioredis');
const { connection, until } = require('./common');

const client = new Redis(connection());
const open = [];
let names = 0;

function newQueue(options = {}, name = `queue-${++names}`) {
  const queue = new Queue(name, { redis: connection(), ...options });
  queue.on('error', () => {}); // closing in the middle of a command is no news
  open.push(queue);
  return queue;
}
const state = (queue, job, wanted) =>
  until(async () => {
    const now = await queue.getJob(job.id);
    return now && (await now.getState()) === wanted;
  }, `job ${job.id} to be ${wanted}`);
const counts = (queue, wanted) =>
  until(async () => {
    const now = await queue.getJobCounts();
    return Object.entries(wanted).every(([name, count]) => now[name] === count);
  }, `job counts ${JSON.stringify(wanted)}`);

test.beforeEach(() => client.flushall());
test.afterEach(async () => {
  for (const queue of open.splice(0).reverse()) await queue.close();
});
test.after(() => client.disconnect());

test('jobs are processed in order and what they return is kept', async () => {
  const queue = newQueue();
  const seen = [];
  const first = await queue.add({ number: 1 });
  await queue.addBulk([{ data: { number: 2 } }, { data: { number: 3 } }]);
  await queue.add({ number: 0 }, { lifo: true });
  assert.equal(await queue.count(), 4);
  queue.process(async (job) => {
    seen.push(job.data.number);
    await job.progress(50);
    await job.log('half of it');
    return job.data.number * 2;
  });
  assert.equal(await first.finished(), 2);
  await counts(queue, { waiting: 0, active: 0, completed: 4 });
  assert.deepEqual(seen, [0, 1, 2, 3]);
  const done = await queue.getJob(first.id);
  assert.deepEqual([done.returnvalue, done._progress], [2, 50]);
  assert.deepEqual(await queue.getJobLogs(first.id), { logs: ['half of it'], count: 1 });
});

test('named jobs have processors of their own, and events reach other processes', async () => {
  const queue = newQueue();
  const listener = newQueue({}, queue.name);
  const told = [];
  await listener.isReady();
  for (const name of ['waiting', 'active', 'completed', 'failed']) listener.on(`global:${name}`, () => told.push(name));
  queue.process('good', 2, async () => 'fine');
  queue.process('bad', async () => {
    throw new Error('on purpose');
  });
  const [good, bad] = await Promise.all([queue.add('good', {}), queue.add('bad', {})]);
  assert.equal(await good.finished(), 'fine');
  await assert.rejects(bad.finished(), /on purpose/);
  await until(() => told.includes('completed') && told.includes('failed'), 'events of both jobs');
});

test('a delayed job waits for its time or is promoted', async () => {
  const queue = newQueue();
  const started = new Map();
  queue.process('*', async (job) => void started.set(job.name, Date.now()));
  const added = Date.now();
  const soon = await queue.add('soon', {}, { delay: 200 });
  const late = await queue.add('late', {}, { delay: 3_600_000 });
  assert.equal((await queue.getJobCounts()).delayed, 2);
  await state(queue, soon, 'completed');
  assert.ok(started.get('soon') - added >= 200);
  assert.equal(await late.getState(), 'delayed');
  await late.promote();
  await state(queue, late, 'completed');
});

test('a job that fails is tried again after a pause, and by hand', async () => {
  const queue = newQueue();
  let broken = true;
  const tries = [];
  queue.process('*', async (job) => {
    tries.push(Date.now());
    if (job.name === 'third' ? job.attemptsMade < 2 : broken) throw new Error('not yet');
  });
  const third = await queue.add('third', {}, { attempts: 3, backoff: { type: 'fixed', delay: 60 } });
  await state(queue, third, 'completed');
  assert.equal(tries.length, 3);
  assert.ok(tries[1] - tries[0] >= 60 && tries[2] - tries[1] >= 60);
  const jobs = await queue.addBulk([1, 2, 3].map((data) => ({ name: 'broken', data, opts: { attempts: 2 } })));
  await counts(queue, { failed: 3 });
  const failed = await queue.getJob(jobs[0].id);
  assert.equal(failed.failedReason, 'not yet');
  assert.equal(failed.stacktrace.length, 2);
  broken = false;
  await failed.retry();
  await state(queue, failed, 'completed');
  await queue.retryJobs({ count: 1 });
  await counts(queue, { failed: 0, completed: 4 });
});

test('a job is taken, kept and finished by hand', async () => {
  const queue = newQueue();
  await queue.add({ step: 1 });
  const job = await queue.getNextJob();
  assert.equal(await job.isActive(), true);
  assert.equal(await job.extendLock(20_000), 1);
  await job.update({ step: 2 });
  assert.deepEqual((await queue.getJob(job.id)).data, { step: 2 });
  await job.releaseLock();
  assert.equal(await client.exists(job.lockKey()), 0);
  await assert.rejects(job.moveToCompleted('no lock'), /Missing lock/);
  await job.takeLock();
  assert.equal(await client.get(job.lockKey()), queue.token);
  await job.moveToCompleted('by hand');
  assert.equal((await queue.getJob(job.id)).returnvalue, 'by hand');
});

test('the more urgent job comes first', async () => {
  const queue = newQueue();
  const order = [];
  for (const priority of [5, 1, 3, 1]) await queue.add({ priority }, { priority });
  assert.deepEqual(await queue.getCountsPerPriority([1, 3, 5]), { 1: 2, 3: 1, 5: 1 });
  queue.process(async (job) => void order.push(job.data.priority));
  await counts(queue, { completed: 4 });
  assert.deepEqual(order, [1, 1, 3, 5]);
});

test('a paused queue keeps its jobs until it is resumed', async () => {
  const queue = newQueue();
  const seen = [];
  queue.process(async (job) => void seen.push(job.data.number));
  await queue.pause();
  assert.equal(await queue.isPaused(), true);
  await queue.addBulk([1, 2].map((number) => ({ data: { number } })));
  assert.equal((await queue.getJobCounts()).paused, 2);
  assert.deepEqual(seen, []);
  await queue.resume();
  await counts(queue, { completed: 2, paused: 0 });
  assert.deepEqual(seen, [1, 2]);
});

test('a queue is limited to so many jobs in a time', async () => {
  const queue = newQueue({ limiter: { max: 2, duration: 200 } });
  const starts = [];
  await queue.addBulk([1, 2, 3, 4, 5].map((data) => ({ data: { data } })));
  const began = Date.now();
  queue.process(10, async () => void starts.push(Date.now()));
  await counts(queue, { completed: 5 });
  assert.ok(starts[4] - began >= 400, `five jobs at two in 200 ms took ${starts[4] - began} ms`);
});

test('a job repeats until its rule is removed', async () => {
  const queue = newQueue();
  let ticks = 0;
  queue.process('tick', async () => void ticks++);
  await queue.add('tick', {}, { repeat: { every: 100 }, removeOnComplete: true });
  await until(() => ticks >= 3, 'three ticks');
  const [rule] = await queue.getRepeatableJobs();
  await queue.removeRepeatableByKey(rule.key);
  assert.deepEqual(await queue.getRepeatableJobs(), []);
  await counts(queue, { delayed: 0, active: 0, waiting: 0 });
});

// Starts a process that takes the job and hangs, and kills it as soon as it has the job.
async function takeAndDie(queue, job) {
  const child = spawn(process.execPath, [path.join(__dirname, 'bull-hung.js'), queue.name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit');
  try {
    const [said] = await once(child.stdout, 'data');
    assert.equal(String(said), `took ${job.id}\n`);
  } finally {
    child.kill('SIGKILL');
  }
  await exit;
}

test('the job of a worker that died is given to another', async () => {
  const queue = newQueue({ settings: { stalledInterval: 100 } });
  const job = await queue.add({});
  await takeAndDie(queue, job);
  const stalled = once(queue, 'stalled');
  queue.process(async () => 'rescued');
  assert.equal((await stalled)[0].id, job.id);
  assert.equal(await job.finished(), 'rescued');
});

test('jobs are removed, cleaned and obliterated', async () => {
  const queue = newQueue();
  const jobs = await queue.addBulk(Array.from({ length: 10 }, (_, number) => ({ data: { number } })));
  await queue.add({}, { jobId: 'own', delay: 3_600_000 });
  await queue.add({}, { jobId: 'own', delay: 3_600_000 });
  assert.equal(await queue.getDelayedCount(), 1);
  await jobs[0].remove();
  assert.equal(await queue.getJob(jobs[0].id), null);
  await queue.removeJobs('own');
  assert.equal(await queue.getDelayedCount(), 0);
  queue.process(async () => {});
  await counts(queue, { completed: 9 });
  assert.equal((await queue.clean(0, 'completed', 4)).length, 4);
  assert.equal(await queue.getCompletedCount(), 5);
  await queue.empty();
  await queue.obliterate({ force: true });
  const left = await client.keys(`bull:${queue.name}:*`);
  assert.deepEqual(left.filter((key) => !/stalled-check$/.test(key)), []);
});
