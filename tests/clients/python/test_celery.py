"""Celery as its users run it: a worker as a process, groups, chains, chords, retries, countdowns, revoked and lost tasks.

Chords are counted by scripts, and the lock under which lost tasks are put back is redis-py's, whose release is one. One
worker serves all tests but those that kill their own.
"""

import logging
import os
import signal
import time
import unittest
from datetime import datetime, timedelta, timezone

import redis
from common import CONTROL_URL, PATIENCE_S, RESTRICTED, URL, FrameworkTest, Process, until
from celery import chain, chord, group
from celery.exceptions import ChordError, TaskRevokedError
from celery_app import add, app, clock, fail, hang_once, note, third_time, total

logging.disable(logging.CRITICAL)

# What takes time at the start is tried where it needs rights of its own.
QUICK = [] if RESTRICTED else ["--without-mingle", "--without-gossip"]
WORKER = ["-m", "celery", "-q", "-A", "celery_app", "worker", "--loglevel", "ERROR", *QUICK]


def worker(test, *options, queue, **environment):
    return Process(
        test,
        [*WORKER, "--queues", queue, "--hostname", f"{queue}@%h", *options],
        MILLRACE_URL=URL,
        PYTHONPATH=os.getcwd(),
        **environment,
    )


class WithOneWorker(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.control = redis.Redis.from_url(CONTROL_URL)
        cls.control.flushall()
        cls.worker = worker(cls, "--concurrency", "2", queue="celery")

    @classmethod
    def tearDownClass(cls):
        cls.control.close()

    def get(self, result, **options):
        return result.get(timeout=PATIENCE_S, **options)

    def test_tasks_return_results_and_errors(self):
        sent = [add.delay(number, 1) for number in range(50)]
        self.assertEqual([self.get(one) for one in sent], list(range(1, 51)))
        with self.assertRaisesRegex(ValueError, "on purpose"):
            self.get(fail.delay())
        result = add.delay(1, 2)
        self.get(result)
        self.assertEqual(result.state, "SUCCESS")
        result.forget()
        self.assertEqual(result.state, "PENDING")

    def test_groups_and_chains_pass_results_on(self):
        many = group(add.s(number, number) for number in range(10))()
        self.assertEqual(self.get(many), [number * 2 for number in range(10)])
        self.assertEqual(self.get(chain(add.s(1, 2), add.s(3), add.s(4))()), 10)
        nested = chain(add.s(1, 1), group(add.s(1), add.s(2)))()
        self.assertEqual(self.get(nested), [3, 4])
        saved = many.save() or app.GroupResult.restore(many.id)
        self.assertEqual(self.get(saved), self.get(many))

    def test_a_chord_calls_back_once_when_all_have_returned(self):
        for size in (1, 2, 20):
            result = chord((add.s(number, 1) for number in range(size)), total.s())()
            self.assertEqual(self.get(result), sum(range(1, size + 1)))
        # A chord of chords, and one whose header is a group with its results.
        inner = chord([add.s(1, 1), add.s(2, 2)], total.s())
        self.assertEqual(self.get(chord([inner, add.s(10, 0)], total.s())()), 16)
        self.assertEqual(self.get(chain(group(add.s(1, 1), add.s(2, 2)), total.s(), add.s(100))()), 106)

        # What was counted goes behind the call of the callback; a marker stays that a chord was done.
        def only_markers_are_left():
            keys = self.control.scan_iter("celery-taskset-meta-*.*")
            return all(key.endswith(b".c") for key in keys)

        until(only_markers_are_left, "the keys of chords to go")

    def test_a_chord_with_a_failure_fails(self):
        result = chord([add.s(1, 1), fail.s(), add.s(2, 2)], total.s())()
        until(result.ready, "the end of the chord")
        self.assertIsInstance(result.result, ChordError)
        self.assertIn("on purpose", str(result.result))

    def test_a_task_is_tried_again(self):
        self.assertEqual(self.get(third_time.delay()), 2)

    def test_tasks_wait_for_their_time(self):
        sent = time.time()
        by_countdown = clock.apply_async(countdown=1)
        by_time = clock.apply_async(eta=datetime.now(timezone.utc) + timedelta(seconds=1))
        for one in (by_countdown, by_time):
            self.assertGreater(self.get(one) - sent, 0.95)

    def test_a_revoked_task_is_not_run(self):
        known = app.control.revoke("revoked", reply=True, limit=1, timeout=PATIENCE_S)
        self.assertEqual(len(known), 1)
        revoked = note.apply_async(("revoked",), task_id="revoked")
        with self.assertRaises(TaskRevokedError):
            self.get(revoked)
        self.get(note.delay("after"))
        self.assertEqual(self.control.lrange("notes", 0, -1), [b"after"])

    def test_the_worker_answers_who_it_is_and_what_it_does(self):
        inspect = app.control.inspect(timeout=PATIENCE_S, limit=1)
        [answer] = until(inspect.ping, "an answer").values()
        self.assertEqual(answer, {"ok": "pong"})
        [tasks] = inspect.registered().values()
        self.assertIn("celery_app.add", tasks)


class WithWorkersThatAreLost(FrameworkTest):
    def test_a_task_whose_process_is_killed_is_run_again(self):
        worker(self, "--concurrency", "1", queue="lost-child")
        result = hang_once.apply_async(("child",), queue="lost-child")
        child = int(until(lambda: self.control.get("child"), "the task to start"))
        os.kill(child, signal.SIGKILL)
        self.assertEqual(result.get(timeout=PATIENCE_S), "rescued")

    def test_tasks_of_a_worker_that_is_killed_are_put_back_for_another(self):
        first = worker(self, "--pool", "solo", queue="lost")
        result = hang_once.apply_async(("worker",), queue="lost")
        until(lambda: self.control.get("worker"), "the task to start")
        self.assertEqual(self.control.hlen("unacked"), 1)
        first.end(signal.SIGKILL)
        worker(self, "--pool", "solo", queue="lost", VISIBILITY_TIMEOUT="1")
        self.assertEqual(result.get(timeout=PATIENCE_S), "rescued")
        until(lambda: self.control.hlen("unacked") == 0, "the acknowledgement")

    def test_a_task_that_was_not_acknowledged_comes_back(self):
        add.apply_async((1, 1), queue="not-acknowledged")
        with app.connection_for_read() as connection:
            queue = connection.SimpleQueue("not-acknowledged")
            queue.get(timeout=PATIENCE_S)
            self.assertEqual(self.control.hlen("unacked"), 1)
        # Closing the connection puts back what it had.
        self.assertEqual(self.control.hlen("unacked"), 0)
        self.assertEqual(self.control.llen("not-acknowledged"), 1)

    def test_a_worker_that_is_asked_to_stop_finishes_and_leaves(self):
        process = worker(self, "--concurrency", "1", queue="stopping")
        result = add.apply_async((1, 2), queue="stopping")
        self.assertEqual(result.get(timeout=PATIENCE_S), 3)
        self.assertEqual(process.end(signal.SIGTERM), 0)
        self.assertEqual(self.control.hlen("unacked"), 0)


if __name__ == "__main__":
    unittest.main()
