"""Task queues and message layers as their users run them: RQ, Huey, taskiq, Celery, Channels.

Only what they do without scripts. RQ's unique jobs, Huey's schedule, Celery's workers (a lock of redis-py, whose release is a
script) and chords, and Channels' groups on lists wait for those.
"""

import asyncio
import logging
import unittest

import redis
from common import PATIENCE_S, URL
from tasks import add, fail

logging.disable(logging.CRITICAL)


class FrameworkTest(unittest.TestCase):
    def setUp(self):
        self.client = redis.Redis.from_url(URL)
        self.client.flushall()
        self.addCleanup(self.client.close)


class Rq(FrameworkTest):
    def work(self, queue):
        from rq import SimpleWorker

        worker = SimpleWorker([queue], connection=self.client)
        worker.work(burst=True)
        return worker

    def test_a_job_runs_and_its_result_is_kept(self):
        from rq import Queue
        from rq.job import Job

        queue = Queue(connection=self.client)
        job = queue.enqueue(add, 2, 3)
        self.assertEqual(queue.job_ids, [job.id])
        self.work(queue)
        self.assertEqual(Job.fetch(job.id, connection=self.client).return_value(), 5)
        self.assertEqual(queue.finished_job_registry.get_job_ids(), [job.id])

    def test_a_job_that_fails_is_requeued(self):
        from rq import Queue

        queue = Queue(connection=self.client)
        job = queue.enqueue(fail)
        self.work(queue)
        self.assertEqual(job.get_status(refresh=True), "failed")
        registry = queue.failed_job_registry
        self.assertEqual(registry.get_job_ids(), [job.id])
        registry.requeue(job.id)
        self.assertEqual(queue.job_ids, [job.id])

    def test_a_job_waits_for_another(self):
        from rq import Queue

        queue = Queue(connection=self.client)
        first = queue.enqueue(add, 1, 1)
        second = queue.enqueue(add, 2, 2, depends_on=first)
        self.assertEqual(second.get_status(), "deferred")
        self.work(queue)
        self.assertEqual(second.return_value(refresh=True), 4)


class Huey(FrameworkTest):
    def huey(self):
        from huey import RedisHuey

        return RedisHuey("tests", url=URL)

    def test_a_task_runs_and_its_result_is_taken_once(self):
        huey = self.huey()
        task = huey.task()(add)
        result = task(2, 3)
        self.assertEqual(len(huey), 1)
        huey.execute(huey.dequeue())
        self.assertEqual(result.get(blocking=True, timeout=PATIENCE_S), 5)
        self.assertEqual(huey.result_count(), 0)

    def test_tasks_are_taken_by_priority(self):
        from huey import PriorityRedisHuey

        huey = PriorityRedisHuey("tests", url=URL)
        task = huey.task()(add)
        for priority in [1, 9, 5]:
            task(priority, 0, priority=priority)
        order = [huey.dequeue().priority for _ in range(3)]
        self.assertEqual(order, [9, 5, 1])

    def test_a_lock_is_held_by_one(self):
        huey = self.huey()
        with huey.lock_task("one"):
            self.assertTrue(huey.is_locked("one"))
        self.assertFalse(huey.is_locked("one"))


class Taskiq(FrameworkTest):
    def run_with(self, make_broker):
        from taskiq.api import run_receiver_task
        from taskiq_redis import RedisAsyncResultBackend

        async def run():
            results = RedisAsyncResultBackend(URL, result_ex_time=100)
            broker = make_broker().with_result_backend(results)
            task = broker.register_task(add, task_name="add")
            await broker.startup()
            worker = asyncio.create_task(run_receiver_task(broker))
            sent = [await task.kiq(number, 1) for number in range(20)]
            for number, one in enumerate(sent):
                result = await one.wait_result(timeout=PATIENCE_S)
                self.assertEqual(result.return_value, number + 1)
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
            await broker.shutdown()

        asyncio.run(run())

    def test_tasks_in_a_list(self):
        from taskiq_redis import ListQueueBroker

        self.run_with(lambda: ListQueueBroker(URL))

    def test_tasks_in_a_stream(self):
        from taskiq_redis import RedisStreamBroker

        self.run_with(lambda: RedisStreamBroker(URL))
        self.assertEqual(self.client.xpending("taskiq", "taskiq")["pending"], 0)


class Celery(FrameworkTest):
    def application(self, broker):
        from celery import Celery as Application

        application = Application("tests", broker=broker, backend=URL)
        application.conf.update(worker_hijack_root_logger=False)
        self.add = application.task(name="add")(add)
        return application

    def test_results_of_tasks_groups_and_chains(self):
        from celery import chain, group
        from celery.contrib.testing.worker import start_worker

        application = self.application("memory://")
        with start_worker(
            application,
            pool="solo",
            perform_ping_check=False,
            shutdown_timeout=PATIENCE_S,
        ):
            sent = [self.add.delay(number, 1) for number in range(20)]
            results = [one.get(timeout=PATIENCE_S) for one in sent]
            self.assertEqual(results, list(range(1, 21)))
            many = group(self.add.s(number, number) for number in range(5))()
            self.assertEqual(many.get(timeout=PATIENCE_S), [0, 2, 4, 6, 8])
            one = chain(self.add.s(1, 2), self.add.s(3))()
            self.assertEqual(one.get(timeout=PATIENCE_S), 6)
        application.close()

    def test_a_task_that_was_not_acknowledged_comes_back(self):
        application = self.application(URL)
        self.add.delay(1, 1)
        with application.connection_for_read() as connection:
            queue = connection.SimpleQueue("celery")
            queue.get(timeout=PATIENCE_S)
            self.assertEqual(self.client.hlen("unacked"), 1)
        # Closing the connection puts back what it had.
        self.assertEqual(self.client.hlen("unacked"), 0)
        self.assertEqual(self.client.llen("celery"), 1)
        application.close()


class Channels(FrameworkTest):
    def test_messages_reach_channels_and_groups(self):
        from channels_redis.pubsub import RedisPubSubChannelLayer

        async def run():
            layer = RedisPubSubChannelLayer(hosts=[URL])
            first, second = await layer.new_channel(), await layer.new_channel()
            for channel in (first, second):
                await layer.group_add("room", channel)
            await layer.group_send("room", {"type": "hello", "text": "all"})
            await layer.send(first, {"type": "hello", "text": "one"})
            heard = [await layer.receive(channel) for channel in (first, second, first)]
            self.assertEqual([each["text"] for each in heard], ["all", "all", "one"])
            await layer.group_discard("room", second)
            await layer.flush()

        asyncio.run(asyncio.wait_for(run(), PATIENCE_S))

    def test_group_members_are_kept_in_sorted_sets(self):
        from channels_redis.core import RedisChannelLayer

        async def run():
            layer = RedisChannelLayer(hosts=[URL])
            channel = await layer.new_channel()
            await layer.group_add("room", channel)
            self.assertEqual(self.client.zcard("asgi:group:room"), 1)
            await layer.group_discard("room", channel)
            self.assertEqual(self.client.exists("asgi:group:room"), 0)
            await layer.close_pools()

        asyncio.run(asyncio.wait_for(run(), PATIENCE_S))


if __name__ == "__main__":
    unittest.main()
