// A Bull worker that takes one job and never ends it: the suite starts it as a process of its own and kills it.
// usage: node bull-hung.js QUEUE
'use strict';

const Queue = require('bull');
const { connection } = require('./common');

const [name] = process.argv.slice(2);
// It looks for no stalled jobs itself: its own would be among them when the machine is busy.
const settings = { lockDuration: 400, stalledInterval: 0 };
new Queue(name, { redis: connection(), settings }).process(async (job) => {
  process.stdout.write(`took ${job.id}\n`);
  await new Promise(() => {});
});
