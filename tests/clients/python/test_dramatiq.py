"""dramatiq as its users run it: actors, workers in threads and as processes, retries, delays, dead letters, results, limits.

Its broker is one script that builds every key it touches from one that is declared.
"""

import logging
import os
import signal
import unittest

import dramatiq
from common import PATIENCE_S, URL, FrameworkTest, Process, until
from dramatiq import group
from dramatiq.brokers.redis import RedisBroker
from dramatiq.rate_limits import Barrier, BucketRateLimiter, ConcurrentRateLimiter, WindowRateLimiter
from dramatiq.rate_limits.backends import RedisBackend as LimiterBackend
from dramatiq.results import ResultMissing, Results
from dramatiq.results.backends.redis import RedisBackend
from tasks import add, fail

logging.disable(logging.CRITICAL)

PATIENCE_MS = PATIENCE_S * 1000


class DramatiqTest(FrameworkTest):
    def setUp(self):
        super().setUp()
        self.namespace = self.id().rsplit(".", 1)[-1]
        self.broker = self.new_broker()
        dramatiq.set_broker(self.broker)

    def new_broker(self, **options):
        broker = RedisBroker(url=URL, namespace=self.namespace, **options)
        broker.add_middleware(Results(backend=RedisBackend(client=broker.client)))
        self.addCleanup(broker.client.close)
        self.addCleanup(broker.close)
        return broker

    def actor(self, function, broker=None, **options):
        return dramatiq.actor(function, broker=broker or self.broker, **options)

    def work(self, **options):
        worker = dramatiq.Worker(self.broker, worker_timeout=20, **{"worker_threads": 2, **options})
        worker.start()
        self.addCleanup(worker.stop)
        return worker

    def result(self, message):
        return message.get_result(backend=self.results(), block=True, timeout=PATIENCE_MS)

    def results(self):
        return self.broker.get_results_backend()

    def key(self, name):
        return f"{self.namespace}:{name}"

    def returned(self, broker):
        """How many messages are in the queue after a look for workers that are gone, which a fetch of none is as well."""
        broker.do_fetch("default", 0)
        return self.client.llen(f"{broker.namespace}:default")


class Actors(DramatiqTest):
    def test_messages_are_processed_and_results_are_kept(self):
        actor = self.actor(add, store_results=True)
        messages = [actor.send(number, 1) for number in range(50)]
        self.assertEqual(self.client.llen(self.key("default")), 50)
        self.assertEqual(self.client.hlen(self.key("default.msgs")), 50)
        with self.assertRaises(ResultMissing):
            messages[0].get_result(backend=self.results())
        self.work(worker_threads=4)
        self.assertEqual([self.result(one) for one in messages], list(range(1, 51)))
        self.broker.join("default", interval=10, timeout=PATIENCE_MS)
        # What is left: when the worker was last heard of, and the results.
        left = [key for key in self.client.keys(self.key("*")) if not key.endswith(b"__heartbeats__")]
        self.assertEqual(left, [])

    def test_the_script_learns_how_much_it_may_unpack(self):
        # It doubles 999 until Lua's stack, of 8000, is too small; dramatiq uses half of the last that fitted.
        self.assertEqual(self.broker._max_unpack_size(), 999 * 8 // 2)

    def test_pipelines_and_groups_pass_results_on(self):
        actor = self.actor(add, store_results=True)
        self.work(worker_threads=4)
        steps = (actor.message(1, 2) | actor.message(10) | actor.message(100)).run()
        self.assertEqual(steps.get_result(block=True, timeout=PATIENCE_MS), 113)
        many = group([actor.message(number, number) for number in range(5)]).run()
        self.assertEqual(list(many.get_results(block=True, timeout=PATIENCE_MS)), [0, 2, 4, 6, 8])

    def test_queues_have_messages_of_their_own(self):
        first = self.actor(add, queue_name="first", actor_name="in_first", store_results=True)
        second = self.actor(add, queue_name="second", actor_name="in_second", store_results=True)
        sent = [first.send(1, 1), second.send(2, 2)]
        self.work(queues={"second"})
        self.assertEqual(self.result(sent[1]), 4)
        self.assertEqual(self.client.llen(self.key("first")), 1)
        self.broker.flush("first")
        self.assertEqual(self.client.exists(self.key("first"), self.key("first.msgs")), 0)


class FailuresAndDelays(DramatiqTest):
    def test_a_delayed_message_waits_in_a_queue_of_its_own(self):
        actor = self.actor(add, store_results=True)
        message = actor.send_with_options(args=(1, 2), delay=300)
        later = actor.send_with_options(args=(3, 4), delay=3_600_000)
        self.assertEqual(self.client.llen(self.key("default.DQ")), 2)
        self.work()
        self.assertEqual(self.result(message), 3)
        with self.assertRaises(ResultMissing):
            later.get_result(backend=self.results())
        # The one that is left counts twice: as a message, and as held by the worker.
        until(lambda: self.broker.do_qsize("default") == 2, "only the later one to be left")

    def test_a_message_that_fails_is_tried_again(self):
        runs = []

        def third():
            runs.append(1)
            if len(runs) < 3:
                raise ValueError("not yet")
            return "third time"

        actor = self.actor(third, store_results=True, max_retries=5, min_backoff=20, max_backoff=50)
        self.work()
        self.assertEqual(self.result(actor.send()), "third time")
        self.assertEqual(len(runs), 3)

    def test_a_message_that_fails_too_often_goes_to_the_dead_letters(self):
        actor = self.actor(fail, max_retries=1, min_backoff=10, max_backoff=20)
        self.work()
        actor.send()
        dead = self.key("default.XQ")
        until(lambda: self.client.zcard(dead) == 1, "a dead letter")
        self.assertEqual(self.client.hlen(f"{dead}.msgs"), 1)
        [text] = self.client.hvals(f"{dead}.msgs")
        message = dramatiq.Message.decode(text)
        self.assertEqual(message.options["retries"], 1)
        self.assertIn("on purpose", message.options["traceback"])
        self.broker.join("default", interval=10, timeout=PATIENCE_MS)

    def test_dead_letters_are_dropped_after_their_time(self):
        actor = self.actor(fail, max_retries=0)
        self.work()
        actor.send()
        dead = self.key("default.XQ")
        until(lambda: self.client.zcard(dead) == 1, "a dead letter")
        # Another broker, for which letters are old at once and every command tidies up.
        tidy = self.new_broker(maintenance_chance=1_000_000, dead_message_ttl=0)
        until(lambda: tidy.do_fetch("default", 1) == [] and self.client.zcard(dead) == 0, "an empty set")
        self.assertEqual(self.client.hlen(f"{dead}.msgs"), 0)

    def test_thousands_of_dead_letters_are_dropped_in_parts(self):
        dead = self.key("default.XQ")
        ids = [f"message-{number}" for number in range(5000)]
        self.client.zadd(dead, {each: 1 for each in ids})
        self.client.hset(f"{dead}.msgs", mapping={each: "text" for each in ids})
        tidy = self.new_broker(maintenance_chance=1_000_000)
        self.assertEqual(tidy.do_fetch("default", 1), [])
        self.assertEqual(self.client.exists(dead, f"{dead}.msgs"), 0)

    def test_messages_of_a_worker_that_is_gone_come_back(self):
        actor = self.actor(add, store_results=True)
        messages = [actor.send(number, 0) for number in range(5)]
        gone = self.new_broker()
        self.assertEqual(len(gone.do_fetch("default", 3)), 3)
        self.assertEqual(self.client.llen(self.key("default")), 2)
        # For this one who was not heard of in the last millisecond is gone, and every command looks.
        self.broker = self.new_broker(maintenance_chance=1_000_000, heartbeat_timeout=1)
        self.actor(add, store_results=True)
        until(lambda: self.returned(self.broker) == 5, "five messages")
        self.assertEqual(self.client.exists(self.key(f"__acks__.{gone.broker_id}.default")), 0)
        self.broker = self.new_broker()
        self.actor(add, store_results=True)
        self.work()
        self.assertEqual([self.result(one) for one in messages], list(range(5)))


    def test_what_a_worker_has_not_begun_is_put_back_when_it_stops(self):
        actor = self.actor(add)
        for number in range(20):
            actor.send(number, 0)
        consumer = self.broker.consume("default", prefetch=10)
        taken = [next(consumer) for _ in range(10)]
        self.assertEqual(self.client.llen(self.key("default")), 10)
        consumer.ack(taken[0])
        consumer.nack(taken[1])
        consumer.requeue(taken[2:])
        self.assertEqual(self.client.llen(self.key("default")), 18)
        self.assertEqual(self.client.hlen(self.key("default.msgs")), 18)
        self.assertEqual(self.client.zcard(self.key("default.XQ")), 1)


class Limits(DramatiqTest):
    def setUp(self):
        super().setUp()
        self.backend = LimiterBackend(client=self.client)

    def taken(self, limiter):
        with limiter.acquire(raise_on_failure=False) as acquired:
            return acquired

    def test_a_mutex_and_a_concurrency_limit_hold(self):
        mutex = ConcurrentRateLimiter(self.backend, "mutex", limit=1)
        some = ConcurrentRateLimiter(self.backend, "some", limit=2)
        with mutex.acquire(), some.acquire():
            self.assertFalse(self.taken(mutex))
            with some.acquire():
                self.assertFalse(self.taken(some))
        self.assertTrue(self.taken(mutex) and self.taken(some))

    def test_buckets_and_windows_hold(self):
        bucket = BucketRateLimiter(self.backend, "bucket", limit=2, bucket=3_600_000)
        window = WindowRateLimiter(self.backend, "window", limit=2, window=3600)
        for limiter in (bucket, window):
            self.assertEqual([self.taken(limiter) for _ in range(4)], [True, True, False, False])

    def test_a_barrier_lets_the_last_one_through(self):
        barrier = Barrier(self.backend, "barrier", ttl=60_000)
        self.assertTrue(barrier.create(parties=3))
        self.assertFalse(barrier.create(parties=3))
        self.assertEqual([barrier.wait(block=False) for _ in range(3)], [False, False, True])
        self.assertTrue(barrier.wait(block=True, timeout=1000))


class WorkerProcess(DramatiqTest):
    def test_a_worker_process_works_and_what_it_had_comes_back_when_it_is_killed(self):
        from dramatiq_app import add as app_add
        from dramatiq_app import hang

        arguments = ["-m", "dramatiq", "dramatiq_app", "--processes", "1", "--threads", "2"]
        process = Process(self, arguments, MILLRACE_URL=URL, PYTHONPATH=os.getcwd())
        messages = [app_add.send(number, 1) for number in range(20)]
        got = [one.get_result(block=True, timeout=PATIENCE_MS) for one in messages]
        self.assertEqual(got, list(range(1, 21)))
        for number in range(6):
            hang.send(f"hung-{number}")
        hung = [f"hung-{number}" for number in range(6)]
        until(lambda: self.client.exists(*hung) == 2, "two threads to hang")
        os.killpg(process.pid, signal.SIGKILL)
        process.end(signal.SIGKILL)
        tidy = RedisBroker(url=URL, namespace="process", maintenance_chance=1_000_000, heartbeat_timeout=1)
        self.addCleanup(tidy.client.close)
        until(lambda: self.returned(tidy) == 6, "six messages")


if __name__ == "__main__":
    unittest.main()
