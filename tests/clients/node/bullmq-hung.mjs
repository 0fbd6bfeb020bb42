// A BullMQ worker that takes one job and never ends it: the suite starts it as a process of its own and kills it.
// usage: node bullmq-hung.mjs QUEUE
import { Worker } from 'bullmq';
import common from './common.js';

const [queue] = process.argv.slice(2);
const hang = async (job) => {
  process.stdout.write(`took ${job.id}\n`);
  await new Promise(() => {});
};
// It renews its lock twice in this time, so that the lock ends soon after the process. It looks for no stalled jobs itself: its
// own would be among them when the machine is busy.
new Worker(queue, hang, { connection: common.connection(), lockDuration: 400, skipStalledCheck: true });
