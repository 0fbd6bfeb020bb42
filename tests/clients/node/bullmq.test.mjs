// BullMQ, as its users write it: queues, workers, delays, retries, flows, limits, schedulers, stalled jobs, events.
// Every step of it is a Lua script, and most of them touch keys that they do not declare.
import test from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createClient } from 'redis';
import {
  DelayedError,
  FlowProducer,
  Queue,
  QueueEvents,
  RateLimitError,
  Relay,
  UnrecoverableError,
  WaitingChildrenError,
  Worker,
  createNodeRedisClient,
} from 'bullmq';
import common from './common.js';

const { CONTROL_URL, PATIENCE_MS, connection, nodeRedis, until } = common;
const open = [];
let names = 0;

// What is opened is closed after the test, workers before the queues they work on.
function opened(one) {
  one.on?.('error', () => {}); // closing in the middle of a command is no news
  open.push(one);
  return one;
}
const newName = () => `queue-${++names}`;
const queueNamed = (name, options = {}) => opened(new Queue(name, { connection: connection(), ...options }));
const newQueue = (options) => queueNamed(newName(), options);
const workOn = (queue, processor, options = {}) =>
  opened(new Worker(queue.name, processor, { connection: connection(), ...options }));
// From the first event on: "from now on" begins at some time after it says that it is ready.
async function eventsOf(queue) {
  const events = opened(new QueueEvents(queue.name, { connection: connection(), lastEventId: '0' }));
  await events.waitUntilReady();
  return events;
}
const state = (queue, job, wanted) =>
  until(async () => (await queue.getJobState(job.id)) === wanted, `job ${job.id} to be ${wanted}`);
const counts = (queue, wanted) =>
  until(async () => {
    const now = await queue.getJobCounts(...Object.keys(wanted));
    return Object.entries(wanted).every(([name, count]) => now[name] === count);
  }, `job counts ${JSON.stringify(wanted)}`);
const again = (queue, job) => queue.getJob(job.id);

const cleaner = createClient(nodeRedis({ url: CONTROL_URL }));
test.before(() => cleaner.connect());
test.after(() => cleaner.destroy());
test.beforeEach(() => cleaner.flushAll());
test.afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

test('a worker processes jobs in order and keeps what they return', async () => {
  const queue = newQueue();
  const events = await eventsOf(queue);
  const seen = [];
  const first = await queue.add('first', { number: 1 });
  await queue.addBulk([2, 3, 4].map((number) => ({ name: 'more', data: { number } })));
  assert.deepEqual(await queue.getJobCounts('waiting', 'active', 'completed'), { waiting: 4, active: 0, completed: 0 });
  assert.deepEqual((await queue.getWaiting()).map((job) => job.data.number), [1, 2, 3, 4]);
  workOn(queue, async (job) => {
    seen.push(job.data.number);
    return { square: job.data.number ** 2 };
  });
  assert.deepEqual(await first.waitUntilFinished(events, PATIENCE_MS), { square: 1 });
  await counts(queue, { waiting: 0, active: 0, completed: 4 });
  assert.deepEqual(seen, [1, 2, 3, 4]);
  const done = await again(queue, first);
  assert.deepEqual(done.returnvalue, { square: 1 });
  assert.ok(done.finishedOn >= done.processedOn && done.processedOn >= done.timestamp);
});

test('fifty at once process a thousand jobs, each once', async () => {
  const queue = newQueue({ defaultJobOptions: { removeOnComplete: true } });
  const seen = new Map();
  const work = async (job) => void seen.set(job.data, (seen.get(job.data) ?? 0) + 1);
  workOn(queue, work, { concurrency: 50 });
  workOn(queue, work, { concurrency: 50 });
  for (let start = 0; start < 1000; start += 100) {
    await queue.addBulk(Array.from({ length: 100 }, (_, i) => ({ name: 'job', data: start + i })));
  }
  await until(() => seen.size === 1000, 'a thousand jobs');
  await counts(queue, { waiting: 0, active: 0, completed: 0 });
  assert.deepEqual(new Set(seen.values()), new Set([1]));
});

test('a delayed job waits for its time, and can be moved or promoted', async () => {
  const queue = newQueue();
  const started = new Map();
  workOn(queue, async (job) => void started.set(job.name, Date.now()));
  const added = Date.now();
  const soon = await queue.add('soon', {}, { delay: 300 });
  const hour = await queue.add('hour', {}, { delay: 3_600_000 });
  const moved = await queue.add('moved', {}, { delay: 3_600_000 });
  assert.equal(await soon.getState(), 'delayed');
  assert.equal(await queue.getDelayedCount(), 3);
  await state(queue, soon, 'completed');
  assert.ok(started.get('soon') - added >= 300);
  await moved.changeDelay(50);
  await state(queue, moved, 'completed');
  assert.deepEqual((await queue.getDelayed()).map((job) => job.name), ['hour']);
  await hour.promote();
  await state(queue, hour, 'completed');
});

test('a job may delay itself and goes on later', async () => {
  const queue = newQueue();
  const steps = [];
  workOn(queue, async (job, token) => {
    steps.push(job.data.step ?? 0);
    if (job.data.step === 1) return 'done';
    await job.updateData({ step: 1 });
    await job.moveToDelayed(Date.now() + 50, token);
    throw new DelayedError();
  });
  const job = await queue.add('steps', {});
  await state(queue, job, 'completed');
  assert.deepEqual(steps, [0, 1]);
});

test('a job that fails is tried again with a growing pause, then kept as failed', async () => {
  const queue = newQueue();
  const tries = [];
  workOn(queue, async (job) => {
    tries.push(Date.now());
    if (job.attemptsMade < 2 || job.name === 'never') throw new Error(`attempt ${job.attemptsMade + 1}`);
    return 'third time';
  });
  const backoff = { type: 'exponential', delay: 50 };
  const third = await queue.add('third', {}, { attempts: 3, backoff });
  await state(queue, third, 'completed');
  assert.equal(tries.length, 3);
  assert.ok(tries[1] - tries[0] >= 50 && tries[2] - tries[1] >= 100);
  const never = await queue.add('never', {}, { attempts: 2 });
  await state(queue, never, 'failed');
  const failed = await again(queue, never);
  assert.equal(failed.failedReason, 'attempt 2');
  assert.equal(failed.attemptsMade, 2);
  assert.equal(failed.stacktrace.length, 2);
});

test('a job that cannot be mended is not tried again, and is retried by hand', async () => {
  const queue = newQueue();
  let broken = true;
  workOn(queue, async () => {
    if (broken) throw new UnrecoverableError('no use');
    return 'mended';
  });
  const job = await queue.add('job', {}, { attempts: 5 });
  await state(queue, job, 'failed');
  assert.equal((await again(queue, job)).attemptsMade, 1);
  broken = false;
  await (await again(queue, job)).retry();
  await state(queue, job, 'completed');
  const more = await queue.addBulk([1, 2, 3].map((data) => ({ name: 'more', data })));
  await counts(queue, { completed: 4 });
  assert.equal((await again(queue, more[2])).returnvalue, 'mended');
});

test('all failed jobs are retried at once', async () => {
  const queue = newQueue();
  let broken = true;
  workOn(queue, async () => {
    if (broken) throw new Error('down');
  });
  await queue.addBulk(Array.from({ length: 20 }, (_, data) => ({ name: 'job', data })));
  await counts(queue, { failed: 20 });
  broken = false;
  await queue.retryJobs({ count: 7 });
  await counts(queue, { failed: 0, completed: 20 });
});

test('the more urgent job comes first, and the order can be changed', async () => {
  const queue = newQueue();
  const order = [];
  for (const priority of [5, 1, 3, 5]) await queue.add(`p${priority}`, {}, { priority });
  await queue.add('none', {});
  await queue.add('last in', {}, { lifo: true });
  const late = await queue.add('late', {}, { priority: 9 });
  await late.changePriority({ priority: 2 });
  assert.deepEqual(await queue.getCountsPerPriority([0, 1, 2, 3, 5, 9]), { 0: 2, 1: 1, 2: 1, 3: 1, 5: 2, 9: 0 });
  assert.equal(await queue.getPrioritizedCount(), 5);
  workOn(queue, async (job) => void order.push(job.name));
  await counts(queue, { completed: 7 });
  assert.deepEqual(order, ['last in', 'none', 'p1', 'late', 'p3', 'p5', 'p5']);
});

test('a parent waits for its children and reads what they returned', async () => {
  const name = newName();
  const [parents, children] = [queueNamed(name), queueNamed(`${name}-children`)];
  const flow = opened(new FlowProducer({ connection: connection() }));
  const tree = await flow.add({
    name: 'sum',
    queueName: parents.name,
    children: [1, 2, 3].map((data) => ({ name: 'double', data, queueName: children.name })),
  });
  assert.equal(await tree.job.getState(), 'waiting-children');
  assert.equal(await parents.getWaitingChildrenCount(), 1);
  assert.equal((await tree.job.getDependencies()).unprocessed.length, 3);
  workOn(parents, async (job) => Object.values(await job.getChildrenValues()).reduce((a, b) => a + b, 0));
  workOn(children, async (job) => job.data * 2);
  await state(parents, tree.job, 'completed');
  assert.equal((await again(parents, tree.job)).returnvalue, 12);
  const loaded = await flow.getFlow({ id: tree.job.id, queueName: parents.name });
  assert.equal(loaded.children.length, 3);
  assert.deepEqual(await tree.job.getDependenciesCount(), { processed: 3, unprocessed: 0, failed: 0, ignored: 0 });
});

test('a child that fails fails its parent, or is ignored, as it was asked to', async () => {
  const name = newName();
  const [parents, children] = [queueNamed(name), queueNamed(`${name}-children`)];
  const flow = opened(new FlowProducer({ connection: connection() }));
  const family = (parent, opts) => ({
    name: parent,
    queueName: parents.name,
    children: ['good', 'bad'].map((child) => ({ name: child, queueName: children.name, opts })),
  });
  workOn(children, async (job) => {
    if (job.name === 'bad') throw new Error('a bad child');
  });
  workOn(parents, async (job) => Object.keys(await job.getIgnoredChildrenFailures()).length);
  const [strict, lenient] = await flow.addBulk([
    family('strict', { failParentOnFailure: true }),
    family('lenient', { ignoreDependencyOnFailure: true }),
  ]);
  await state(parents, strict.job, 'failed');
  assert.match((await again(parents, strict.job)).failedReason, /child bull:.* failed/);
  await state(parents, lenient.job, 'completed');
  assert.equal((await again(parents, lenient.job)).returnvalue, 1);
});

test('a job adds a child while it runs and waits for it', async () => {
  const name = newName();
  const [parents, children] = [queueNamed(name), queueNamed(`${name}-children`)];
  workOn(children, async () => 'from the child');
  workOn(parents, async (job, token) => {
    if (!job.data.asked) {
      await job.updateData({ asked: true });
      await children.add('child', {}, { parent: { id: job.id, queue: job.queueQualifiedName } });
    }
    if (await job.moveToWaitingChildren(token)) throw new WaitingChildrenError();
    return Object.values(await job.getChildrenValues())[0];
  });
  const job = await parents.add('parent', {});
  await state(parents, job, 'completed');
  assert.equal((await again(parents, job)).returnvalue, 'from the child');
});

test('a queue is limited to so many jobs in a time', async () => {
  const queue = newQueue();
  const starts = [];
  await queue.addBulk(Array.from({ length: 6 }, (_, data) => ({ name: 'job', data })));
  const began = Date.now();
  workOn(queue, async () => void starts.push(Date.now()), { limiter: { max: 2, duration: 200 }, concurrency: 10 });
  await until(async () => (await queue.getRateLimitTtl(2)) > 0, 'the limit to be reached');
  await counts(queue, { completed: 6 });
  assert.ok(starts[5] - began >= 400, `six jobs at two in 200 ms took ${starts[5] - began} ms`);
});

test('a worker that meets a limit puts the job back and waits', async () => {
  const queue = newQueue();
  const starts = [];
  const worker = workOn(
    queue,
    async () => {
      starts.push(Date.now());
      if (starts.length > 1) return 'through';
      await worker.rateLimit(150);
      throw new RateLimitError();
    },
    { limiter: { max: 1, duration: 50 } },
  );
  const job = await queue.add('job', {});
  await state(queue, job, 'completed');
  assert.equal(starts.length, 2);
  assert.ok(starts[1] - starts[0] >= 140);
});

test('a limit on the whole queue holds for all of its workers', async () => {
  const queue = newQueue();
  await queue.setGlobalConcurrency(2);
  assert.equal(await queue.getGlobalConcurrency(), 2);
  let [running, most] = [0, 0];
  const work = async () => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 15));
    running--;
  };
  await queue.addBulk(Array.from({ length: 12 }, (_, data) => ({ name: 'job', data })));
  for (let i = 0; i < 3; i++) workOn(queue, work, { concurrency: 4 });
  await counts(queue, { completed: 12 });
  assert.ok(most <= 2, `${most} ran at once`);
  assert.equal(await queue.isMaxed(), false);
});

test('a scheduler makes a job at every interval until it is removed', async () => {
  const queue = newQueue();
  const template = { name: 'tick', data: { from: 'template' }, opts: { removeOnComplete: 2 } };
  const seen = [];
  await queue.upsertJobScheduler('clock', { every: 60 }, template);
  workOn(queue, async (job) => void seen.push(job.data.from));
  await until(() => seen.length >= 3, 'three ticks');
  const scheduler = await queue.getJobScheduler('clock');
  assert.equal(scheduler.every, 60);
  assert.equal(await queue.getJobSchedulersCount(), 1);
  assert.equal(await queue.removeJobScheduler('clock'), true);
  await counts(queue, { delayed: 0, active: 0, waiting: 0 });
  assert.equal(await queue.getJobSchedulersCount(), 0);
  assert.ok(seen.every((from) => from === 'template'));
});

test('a scheduler by cron is changed in place and keeps one next job', async () => {
  const queue = newQueue();
  await queue.upsertJobScheduler('nightly', { pattern: '0 0 3 * * *', tz: 'UTC' });
  await queue.upsertJobScheduler('nightly', { pattern: '0 30 4 * * *', tz: 'UTC', limit: 5 }, { data: { version: 2 } });
  const next = await queue.getDelayed();
  assert.equal(next.length, 1);
  assert.deepEqual(next[0].data, { version: 2 });
  const at = new Date(next[0].timestamp + next[0].delay);
  assert.deepEqual([at.getUTCHours(), at.getUTCMinutes()], [4, 30]);
  assert.deepEqual(await queue.getRanges(['delayed'], 0, -1), [next[0].id]);
  const [scheduler] = await queue.getJobSchedulers();
  assert.equal(scheduler.pattern, '0 30 4 * * *');
});

// Starts the process that takes a job and hangs, and kills it as soon as it has the job.
async function takeAndDie(queue, job) {
  const script = fileURLToPath(new globalThis.URL('bullmq-hung.mjs', import.meta.url));
  const child = spawn(process.execPath, [script, queue.name], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  try {
    const [said] = await once(child.stdout, 'data');
    assert.equal(String(said), `took ${job.id}\n`);
  } finally {
    child.kill('SIGKILL');
  }
  await exit;
  assert.equal(await job.getState(), 'active');
}

test('the job of a worker that died is given to another', async () => {
  const queue = newQueue();
  const events = await eventsOf(queue);
  const stalled = once(events, 'stalled');
  const job = await queue.add('job', {});
  await takeAndDie(queue, job);
  workOn(queue, async () => 'rescued', { stalledInterval: 100 });
  assert.equal(await job.waitUntilFinished(events, PATIENCE_MS), 'rescued');
  assert.equal((await stalled)[0].jobId, job.id);
  assert.equal((await again(queue, job)).attemptsStarted, 2);
});

test('a job that stalls more often than allowed fails', async () => {
  const queue = newQueue();
  const job = await queue.add('job', {});
  await takeAndDie(queue, job);
  workOn(queue, async () => 'rescued', { stalledInterval: 100, maxStalledCount: 0 });
  await state(queue, job, 'failed');
  assert.match((await again(queue, job)).failedReason, /stalled more than allowable limit/);
});

test('a lock is renewed by its owner only, and protects the job', async () => {
  const queue = newQueue();
  const worker = opened(new Worker(queue.name, null, { connection: connection() }));
  await queue.add('job', {});
  const job = await worker.getNextJob('mine');
  assert.equal(await job.extendLock('mine', 10_000), 1);
  await assert.rejects(job.moveToCompleted('stolen', 'not mine', false), /Lock mismatch|Missing lock|lock/);
  await assert.rejects(job.remove(), /locked/);
  await job.moveToCompleted('by hand', 'mine', false);
  assert.equal((await again(queue, job)).returnvalue, 'by hand');
});

test('a job that runs for longer than its lock keeps it', async () => {
  const queue = newQueue();
  const remaining = (job) => cleaner.pTTL(`bull:${queue.name}:${job.id}:lock`);
  workOn(
    queue,
    async (job) => {
      let [least, renewals] = [await remaining(job), 0];
      await until(async () => {
        const now = await remaining(job);
        if (now > least) renewals++;
        least = now;
        return renewals === 2;
      }, 'two renewals of the lock');
    },
    // Long enough not to be lost when the machine is busy; renewed far sooner than it ends.
    { lockDuration: 20_000, lockRenewTime: 80 },
  );
  const job = await queue.add('job', {});
  await state(queue, job, 'completed');
  assert.equal((await again(queue, job)).attemptsStarted, 1);
});

test('a paused queue keeps its jobs until it is resumed', async () => {
  const queue = newQueue();
  const seen = [];
  workOn(queue, async (job) => void seen.push(job.data));
  await queue.add('before', 1);
  await counts(queue, { completed: 1 });
  await queue.pause();
  assert.equal(await queue.isPaused(), true);
  await queue.addBulk([2, 3].map((data) => ({ name: 'while paused', data })));
  await queue.add('urgent', 0, { priority: 1 });
  assert.equal(await queue.count(), 3);
  assert.deepEqual(seen, [1]);
  await queue.resume();
  await counts(queue, { completed: 4 });
  assert.deepEqual(seen, [1, 2, 3, 0]);
});

test('jobs are counted, listed by page and removed', async () => {
  const queue = newQueue();
  const jobs = await queue.addBulk(Array.from({ length: 10 }, (_, data) => ({ name: 'job', data })));
  await queue.add('later', {}, { delay: 3_600_000 });
  await queue.add('urgent', {}, { priority: 3 });
  const all = await queue.getJobCounts();
  assert.deepEqual([all.waiting, all.delayed, all.prioritized, all.active, all.failed], [10, 1, 1, 0, 0]);
  const page = await queue.getJobs(['waiting'], 2, 4, true);
  assert.deepEqual(page.map((job) => job.data), [2, 3, 4]);
  await jobs[3].remove();
  assert.equal(await queue.remove(jobs[4].id), 1);
  assert.equal(await queue.getJob(jobs[3].id), undefined);
  assert.equal(await jobs[3].getState(), 'unknown');
  assert.equal(await queue.getWaitingCount(), 8);
  await queue.drain(true);
  assert.equal(await queue.count(), 0);
});

test('finished jobs are cleaned by age and number, or as they finish', async () => {
  const queue = newQueue();
  workOn(queue, async (job) => {
    if (job.name === 'bad') throw new Error('bad');
  });
  await queue.addBulk(Array.from({ length: 10 }, (_, data) => ({ name: 'good', data })));
  await queue.addBulk(Array.from({ length: 5 }, (_, data) => ({ name: 'bad', data })));
  await counts(queue, { completed: 10, failed: 5 });
  assert.equal((await queue.clean(0, 4, 'completed')).length, 4);
  assert.equal((await queue.clean(0, 0, 'failed')).length, 5);
  assert.equal((await queue.clean(3_600_000, 0, 'completed')).length, 0);
  const kept = await queue.add('good', {}, { removeOnComplete: 3 });
  await state(queue, kept, 'completed');
  await counts(queue, { completed: 3, failed: 0 });
});

test('nothing is left of a queue that is obliterated', async () => {
  const queue = newQueue();
  await queue.addBulk(Array.from({ length: 50 }, (_, data) => ({ name: 'job', data, opts: { priority: data % 3 } })));
  await queue.add('later', {}, { delay: 3_600_000 });
  const worker = opened(new Worker(queue.name, null, { connection: connection() }));
  await worker.getNextJob('token');
  await assert.rejects(queue.obliterate(), /active jobs/);
  await cleaner.hSet(`bull:${queue.name}:999`, 'name', 'an orphan: in no list');
  assert.equal(await queue.removeOrphanedJobs(), 1);
  await queue.obliterate({ force: true });
  assert.deepEqual(await cleaner.keys(`bull:${queue.name}:*`), []);
});

test('a family is removed with its parent', async () => {
  const name = newName();
  const [parents, children] = [queueNamed(name), queueNamed(`${name}-children`)];
  const flow = opened(new FlowProducer({ connection: connection() }));
  const child = (number) => ({ name: `child ${number}`, queueName: children.name });
  const tree = await flow.add({ name: 'parent', queueName: parents.name, children: [child(1), child(2), child(3)] });
  await tree.children[0].job.remove();
  assert.equal((await tree.job.getDependencies()).unprocessed.length, 2);
  await tree.children[1].job.removeChildDependency();
  assert.equal((await tree.job.getDependencies()).unprocessed.length, 1);
  await tree.job.remove();
  assert.equal(await parents.count(), 0);
  const other = await flow.add({ name: 'parent', queueName: parents.name, children: [child(4), child(5)] });
  const page = await parents.getDependencies(other.job.id, 'pending', 0, -1);
  assert.deepEqual([page.total, page.items.length], [2, 2]);
  await other.job.removeUnprocessedChildren();
  assert.deepEqual((await children.getJobs()).map((job) => job.name), ['child 2']);
});

test('a job with the same key or id is added once', async () => {
  const queue = newQueue();
  const deduplication = { id: 'same' };
  const first = await queue.add('job', { number: 1 }, { deduplication });
  const second = await queue.add('job', { number: 2 }, { deduplication });
  assert.equal(second.id, first.id);
  assert.equal(await queue.getDeduplicationJobId('same'), first.id);
  assert.equal(await first.removeDeduplicationKey(), true);
  await queue.add('job', { number: 3 }, { jobId: 'own' });
  await queue.add('job', { number: 4 }, { jobId: 'own' });
  assert.deepEqual((await queue.getWaiting()).map((job) => job.data.number), [1, 3]);
  const briefly = () => queue.add('job', {}, { deduplication: { id: 'brief', ttl: 50 } });
  const { id } = await briefly();
  await until(async () => (await briefly()).id !== id, 'the end of a key');
});

test('events tell the life of a job, with progress and logs', async () => {
  const queue = newQueue();
  const events = await eventsOf(queue);
  const told = [];
  for (const name of ['added', 'waiting', 'active', 'progress', 'completed', 'failed', 'removed', 'drained']) {
    events.on(name, (details) => told.push(name === 'progress' ? `${name} ${details.data}` : name));
  }
  workOn(queue, async (job) => {
    await job.log('half of it');
    await job.updateProgress(50);
    return 'all';
  });
  const job = await queue.add('job', {});
  assert.equal(await job.waitUntilFinished(events, PATIENCE_MS), 'all');
  await until(() => told.includes('drained'), 'the queue to drain');
  assert.deepEqual(told, ['added', 'waiting', 'active', 'progress 50', 'completed', 'drained']);
  const done = await again(queue, job);
  assert.equal(done.progress, 50);
  assert.deepEqual(await queue.getJobLogs(job.id), { logs: ['half of it'], count: 1 });
  await queue.trimEvents(2);
  assert.ok((await cleaner.xLen(`bull:${queue.name}:events`)) <= 6);
});

test('a worker waits in the server and starts a job at once', async () => {
  const queue = newQueue();
  const worker = workOn(queue, async () => Date.now());
  await worker.waitUntilReady();
  await common.blockedClients(() => cleaner.info('clients'), 1);
  assert.equal(await queue.getWorkersCount(), 1);
  const job = await queue.add('job', {});
  await state(queue, job, 'completed');
  const { processedOn, timestamp } = await again(queue, job);
  // The worker waits for up to 5 s: far less than that shows that the script's push woke it.
  assert.ok(processedOn - timestamp < 2500, `taken after ${processedOn - timestamp} ms`);
});

test('metrics count what was done', async () => {
  const queue = newQueue();
  const metrics = { maxDataPoints: 60 };
  workOn(queue, async () => {}, { metrics });
  await queue.addBulk([1, 2, 3].map((data) => ({ name: 'job', data })));
  await counts(queue, { completed: 3 });
  const { meta } = await queue.getMetrics('completed');
  assert.equal(meta.count, 3);
  assert.match(await queue.exportPrometheusMetrics(), /bullmq_job_count\{.*state="completed".*\} 3/);
});

test('a relay carries messages to the nodes that subscribed, and keeps the last', async () => {
  const options = { connection: connection(), namespace: newName() };
  const [sender, receiver] = [opened(new Relay(options)), opened(new Relay(options))];
  const heard = [];
  const listener = ({ topic, data, retained }) => heard.push(`${topic}=${data}${retained ? ' (kept)' : ''}`);
  await sender.publish('rooms.kitchen', 20, { retain: 60_000 });
  await receiver.subscribe('rooms.kitchen', listener);
  const all = await receiver.subscribe('rooms.*', listener);
  await until(() => heard.length === 1, 'the message that was kept');
  await sender.publish('rooms.hall', 18);
  await until(() => heard.length === 2, 'a message to a pattern');
  assert.deepEqual(heard, ['rooms.kitchen=20 (kept)', 'rooms.hall=18']);
  assert.equal((await sender.getNodes()).length, 2);
  assert.equal((await sender.getSubscriptions()).length, 2);
  assert.deepEqual(await sender.getNamespaces(), [options.namespace]);
  await all.unsubscribe();
  assert.equal(await sender.deleteRetained('rooms.kitchen'), true);
  assert.equal((await sender.getRetained()).length, 0);
});

test('a queue works on node-redis as well', async () => {
  const raw = () => createClient(nodeRedis());
  const clients = [raw(), raw()];
  await Promise.all(clients.map((client) => client.connect()));
  const [forQueue, forWorker] = clients.map((client) => createNodeRedisClient(client));
  const queue = newQueue({ connection: forQueue });
  workOn(queue, async (job) => job.data * 2, { connection: forWorker });
  const later = await queue.add('later', 2, { delay: 50 });
  const job = await queue.add('job', 21);
  await state(queue, job, 'completed');
  assert.equal((await again(queue, job)).returnvalue, 42);
  await state(queue, later, 'completed');
  for (const one of open.splice(0).reverse()) await one.close();
  for (const client of clients) client.destroy();
});
