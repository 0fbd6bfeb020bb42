"""Huey as its users run it: its consumer in threads and as processes, schedule, retries, priorities, locks, limits, chords.

Its schedule is read by a script; the semaphore takes the server's time in one.
"""

import logging
import os
import signal
import unittest
from datetime import datetime, timedelta

from common import PATIENCE_S, URL, FrameworkTest, Process, until
from huey import PriorityRedisHuey, RedisExpireHuey, RedisHuey, chord, crontab, group
from huey.contrib.helpers import RedisSemaphore, lock_task_semaphore
from huey.exceptions import TaskException, TaskLockedException
from huey.utils import utcnow
from tasks import add, fail

logging.disable(logging.CRITICAL)


class HueyTest(FrameworkTest):
    def huey(self, kind=RedisHuey, **options):
        # One name for each test. A consumer that is stopped looks up after the time it waits in the server. Errors of runs that
        # are followed by another would be results, and read by who waits for the last.
        options = {"read_timeout": 0.2, "store_intermediate_errors": False, **options}
        huey = kind(self.id().rsplit(".", 1)[-1], url=URL, **options)
        self.addCleanup(huey.storage.conn.close)
        return huey

    def consume(self, huey, **options):
        consumer = huey.create_consumer(periodic=False, initial_delay=0.02, **options)
        consumer.start()
        self.addCleanup(consumer.stop, graceful=True)
        return consumer

    def value(self, result):
        return result.get(blocking=True, timeout=PATIENCE_S)


class Tasks(HueyTest):
    def test_a_task_runs_and_its_result_is_taken_once(self):
        huey = self.huey()
        task = huey.task()(add)
        result = task(2, 3)
        self.assertEqual(len(huey), 1)
        huey.execute(huey.dequeue())
        self.assertEqual(self.value(result), 5)
        self.assertEqual(huey.result_count(), 0)

    def test_tasks_are_taken_by_priority(self):
        huey = self.huey(PriorityRedisHuey)
        task = huey.task()(add)
        for priority in [1, 9, 5]:
            task(priority, 0, priority=priority)
        order = [huey.dequeue().priority for _ in range(3)]
        self.assertEqual(order, [9, 5, 1])

    def test_a_consumer_runs_tasks_groups_pipelines_and_chords(self):
        huey = self.huey(PriorityRedisHuey, notify_result=True)
        task = huey.task()(add)
        total = huey.task(name="total")(lambda values: sum(values))
        self.consume(huey, workers=3)
        results = [task(number, 1) for number in range(20)]
        self.assertEqual([self.value(one) for one in results], list(range(1, 21)))
        many = huey.enqueue(group([task.s(number, number) for number in range(4)]))
        self.assertEqual(many.get(blocking=True, timeout=PATIENCE_S), [0, 2, 4, 6])
        steps = huey.enqueue(task.s(1, 2).then(task, 10).then(task, 100))
        self.assertEqual(steps.get(blocking=True, timeout=PATIENCE_S), [3, 13, 113])
        both = huey.enqueue(chord([task.s(number, 0) for number in (1, 2, 3)], total.s()))
        self.assertEqual(self.value(both.callback), 6)

    def test_a_task_that_fails_is_tried_again(self):
        huey = self.huey()
        runs = []

        @huey.task(retries=2, context=True)
        def third(task=None):
            runs.append(task.retries)
            if len(runs) < 3:
                raise ValueError("not yet")
            return "third time"

        failing = huey.task(retries=1)(fail)
        self.consume(huey)
        self.assertEqual(self.value(third()), "third time")
        self.assertEqual(runs, [2, 1, 0])
        with self.assertRaises(TaskException) as caught:
            self.value(failing())
        self.assertIn("on purpose", caught.exception.metadata["error"])

    def test_a_task_is_revoked_and_restored(self):
        huey = self.huey()
        task = huey.task()(add)
        result, other = task(1, 1), task(2, 2)
        result.revoke()
        self.assertTrue(result.is_revoked())
        other.revoke()
        other.restore()
        self.consume(huey)
        self.assertEqual(self.value(other), 4)
        self.assertIsNone(result.get())


class Schedule(HueyTest):
    def test_what_is_due_is_taken_from_the_schedule_once(self):
        huey = self.huey()
        task = huey.task()(add)
        now = utcnow()
        for offset in (-20, -10, 3600):
            huey.add_schedule(task.s(offset, 0, eta=now + timedelta(seconds=offset)))
        self.assertEqual(huey.scheduled_count(), 3)
        taken = huey.read_schedule(now)
        self.assertEqual([each.args[0] for each in taken], [-20, -10])
        self.assertEqual(huey.read_schedule(now), [])
        self.assertEqual(huey.scheduled_count(), 1)
        self.assertEqual(huey.read_schedule(now + timedelta(hours=2))[0].args, (3600, 0))
        self.assertEqual(huey.scheduled_count(), 0)

    def test_a_thousand_due_tasks_are_taken_at_once(self):
        huey = self.huey()
        task = huey.task()(add)
        now = utcnow()
        for number in range(1000):
            huey.add_schedule(task.s(number, 0, eta=now - timedelta(seconds=1000 - number)))
        taken = huey.read_schedule(now)
        self.assertEqual([each.args[0] for each in taken], list(range(1000)))

    def test_a_consumer_runs_delayed_and_retried_tasks(self):
        huey = self.huey()
        task = huey.task()(add)
        runs = []

        @huey.task(retries=1, retry_delay=1)
        def second():
            runs.append(1)
            if len(runs) < 2:
                raise ValueError("not yet")
            return "second time"

        self.consume(huey, workers=2)
        delayed = task.schedule((1, 2), delay=1)
        retried = second()
        self.assertEqual(self.value(delayed), 3)
        self.assertEqual(self.value(retried), "second time")

    def test_a_delayed_task_is_rescheduled(self):
        huey = self.huey()
        task = huey.task()(add)
        result = task.schedule((1, 2), delay=3600)
        sooner = result.reschedule(delay=0)
        self.consume(huey)
        self.assertEqual(self.value(sooner), 3)

    def test_periodic_tasks_are_found_by_their_minute(self):
        huey = self.huey()
        huey.periodic_task(crontab(minute="30", hour="4"))(fail)
        at = datetime(2030, 1, 1, 4, 30)
        self.assertEqual(len(huey.read_periodic(at)), 1)
        self.assertEqual(huey.read_periodic(at + timedelta(minutes=1)), [])


class Locks(HueyTest):
    def test_a_lock_is_held_by_one(self):
        huey = self.huey()
        with huey.lock_task("one"):
            self.assertTrue(huey.is_locked("one"))
            with self.assertRaises(TaskLockedException):
                huey.lock_task("one").acquire()
        self.assertFalse(huey.is_locked("one"))
        huey.lock_task("one").acquire()
        self.assertEqual(huey.flush_locks(), {"one"})

    def test_a_semaphore_is_held_by_so_many_until_they_let_go(self):
        semaphore = RedisSemaphore(self.huey(), "some", value=2, timeout=100)
        first, second = semaphore.acquire(), semaphore.acquire()
        self.assertTrue(first and second)
        self.assertIsNone(semaphore.acquire())
        self.assertEqual(semaphore.acquire(first), first)
        self.assertTrue(semaphore.renew(second))
        self.assertFalse(semaphore.renew("unknown"))
        semaphore.release(second)
        self.assertTrue(semaphore.acquire())

    def test_a_semaphore_is_free_again_after_its_time(self):
        semaphore = RedisSemaphore(self.huey(), "some", value=1, timeout=0.2)
        self.assertTrue(semaphore.acquire("first"))
        self.assertEqual(until(lambda: semaphore.acquire("second"), "the end of the first"), "second")
        self.assertEqual(self.client.zrange(semaphore.key, 0, -1), [b"second"])

    def test_tasks_under_a_semaphore_are_tried_again(self):
        huey = self.huey()
        running, most = [], []

        @huey.task(retries=100)
        @lock_task_semaphore(huey, "some", 2)
        def work(number):
            running.append(number)
            most.append(len(running))
            huey.storage.conn.ping()
            running.remove(number)
            return number

        self.consume(huey, workers=4)
        results = [work(number) for number in range(10)]
        self.assertEqual([self.value(one) for one in results], list(range(10)))
        self.assertLessEqual(max(most), 2)

    def test_a_limited_task_waits_for_the_next_window(self):
        huey = self.huey()
        task = huey.task()(huey.rate_limit("api", limit=2, per=1)(add))
        self.consume(huey, workers=2)
        results = [task(number, 0) for number in range(5)]
        self.assertEqual([self.value(one) for one in results], list(range(5)))

    def test_results_that_expire_are_counted_and_flushed(self):
        huey = self.huey(RedisExpireHuey, expire_time=100)
        task = huey.task()(add)
        results = [task(number, 0) for number in range(3)]
        for _ in results:
            huey.execute(huey.dequeue())
        self.assertEqual(huey.result_count(), 3)
        self.assertEqual(self.value(results[1]), 1)
        huey.flush()
        self.assertEqual(huey.result_count(), 0)


class ConsumerProcess(HueyTest):
    def test_a_consumer_with_process_workers_shares_the_queue_and_stops_when_asked(self):
        from huey_app import add as app_add, huey, who

        consumer = ["-m", "huey.bin.huey_consumer", "huey_app.huey", "-w", "2", "-k", "process", "-q"]
        process = Process(self, consumer, MILLRACE_URL=URL, PYTHONPATH=os.getcwd())
        results = [app_add(number, 1, priority=number) for number in range(10)]
        self.assertEqual([self.value(one) for one in results], list(range(1, 11)))
        self.assertNotEqual(self.value(who()), os.getpid())
        later = app_add.schedule((20, 22), delay=1)
        self.assertEqual(self.value(later), 42)
        self.assertEqual(process.end(signal.SIGINT), 0)
        huey.storage.conn.close()


if __name__ == "__main__":
    unittest.main()
