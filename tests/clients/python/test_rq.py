"""RQ as its users run it: queues, workers as processes and in the test's own, registries, schedules, retries, limits.

Its scripts add a job once, empty a queue, limit a group of jobs, and hold the scheduler's lock. Two of them build the keys that
they touch from names they read.
"""

import logging
import os
import signal
import unittest
from datetime import datetime, timedelta, timezone

import redis
from common import URL, FrameworkTest, Process, until
from rq import Callback, Queue, RateLimit, Repeat, Retry, SimpleWorker, Worker
from rq.exceptions import DuplicateJobError
from rq.group import Group
from rq.job import Job
from rq.rate_limit import RateLimitRegistry
from rq.registry import clean_registries
from rq.scheduler import RQScheduler
from rq.scripts import acquire_or_refresh_lock, release_lock
from rq.suspension import resume, suspend
from tasks import add, count_up, fail, fail_times, remember, slow

logging.disable(logging.CRITICAL)


class RqTest(FrameworkTest):
    def queue(self, name=None, **options):
        return Queue(name or self.id().rsplit(".", 1)[-1], connection=self.client, **options)

    def work(self, *queues):
        worker = SimpleWorker(list(queues), connection=self.client)
        worker.log.disabled = True
        worker.work(burst=True)
        return worker

    def worker_process(self, *queues, options=()):
        return Process(
            self,
            ["-m", "rq.cli", "worker", "--quiet", "--url", URL, *options]
            + [queue.name for queue in queues],
        )

    def status(self, job, wanted):
        until(lambda: job.get_status(refresh=True) == wanted, f"{job.id} to be {wanted}")


class Jobs(RqTest):
    def test_a_job_runs_and_its_result_is_kept(self):
        queue = self.queue()
        job = queue.enqueue(add, 2, 3)
        self.assertEqual(queue.job_ids, [job.id])
        self.work(queue)
        self.assertEqual(Job.fetch(job.id, connection=self.client).return_value(), 5)
        self.assertEqual(queue.finished_job_registry.get_job_ids(), [job.id])
        self.assertEqual(job.latest_result().type, job.latest_result().Type.SUCCESSFUL)

    def test_a_job_that_fails_is_requeued(self):
        queue = self.queue()
        job = queue.enqueue(fail)
        self.work(queue)
        self.assertEqual(job.get_status(refresh=True), "failed")
        registry = queue.failed_job_registry
        self.assertEqual(registry.get_job_ids(), [job.id])
        self.assertIn("on purpose", job.latest_result().exc_string)
        registry.requeue(job.id)
        self.assertEqual(queue.job_ids, [job.id])

    def test_a_job_is_tried_again_as_often_as_asked(self):
        queue = self.queue()
        job = queue.enqueue(fail_times, URL, "tries", 2, retry=Retry(max=2))
        never = queue.enqueue(fail, retry=Retry(max=1))
        self.work(queue)
        self.assertEqual(job.get_status(refresh=True), "finished")
        self.assertEqual(job.return_value(refresh=True), 3)
        self.assertEqual(never.get_status(refresh=True), "failed")
        self.assertEqual(queue.failed_job_registry.get_job_ids(), [never.id])

    def test_a_job_waits_for_others(self):
        queue, other = self.queue(), self.queue("other")
        first = other.enqueue(add, 1, 1)
        second = queue.enqueue(add, 2, 2, depends_on=first)
        third = queue.enqueue(add, 3, 3, depends_on=[first, second])
        self.assertEqual(second.get_status(), "deferred")
        self.assertEqual(set(queue.deferred_job_registry.get_job_ids()), {second.id, third.id})
        self.work(other, queue)
        self.assertEqual(second.return_value(refresh=True), 4)
        self.assertEqual(third.return_value(refresh=True), 6)

    def test_a_job_with_the_same_name_is_added_once(self):
        queue = self.queue()
        job = queue.enqueue(add, 1, 1, job_id="same", unique=True, ttl=100)
        with self.assertRaises(DuplicateJobError):
            queue.enqueue(add, 2, 2, job_id="same", unique=True)
        self.assertEqual(queue.job_ids, ["same"])
        self.assertIn(self.client.ttl(job.key), range(90, 101))
        queue.enqueue(add, 5, 5, job_id="urgent", unique=True, at_front=True)
        self.assertEqual(queue.job_ids, ["urgent", "same"])
        self.work(queue)
        self.assertEqual(job.return_value(refresh=True), 2)
        with self.assertRaises(DuplicateJobError):
            queue.enqueue(add, 2, 2, job_id="same", unique=True)
        job.delete()
        queue.enqueue(add, 2, 2, job_id="same", unique=True)

    def test_a_scheduled_job_with_the_same_name_is_added_once(self):
        queue = self.queue()
        when = datetime.now(timezone.utc) + timedelta(hours=1)
        queue.enqueue_at(when, add, 1, 1, job_id="same", unique=True)
        with self.assertRaises(DuplicateJobError):
            queue.enqueue_at(when, add, 1, 1, job_id="same", unique=True)
        registry = queue.scheduled_job_registry
        self.assertEqual(registry.get_job_ids(), ["same"])
        self.assertEqual(registry.get_scheduled_time("same"), when.replace(microsecond=0))

    def test_a_group_of_jobs_is_limited_to_so_many_at_once(self):
        queue = self.queue()
        limit = RateLimit("api", concurrency=2)
        # What is added in the same second goes by name.
        options = lambda number: {"job_id": f"job-{number}", "rate_limit": limit}
        jobs = [queue.enqueue(add, number, 0, **options(number)) for number in range(5)]
        front = queue.enqueue(add, 9, 0, at_front=True, **options(9))
        self.assertEqual(queue.job_ids, [jobs[0].id, jobs[1].id])
        self.assertEqual(jobs[4].get_status(refresh=True), "rate_limited")
        registry = RateLimitRegistry("api", self.client)
        jobs[4].cancel()
        jobs[0].delete()
        self.assertEqual(queue.job_ids, [jobs[1].id, jobs[2].id])
        self.work(queue)
        for number in (1, 2, 3):
            self.assertEqual(jobs[number].return_value(refresh=True), number)
        self.assertEqual(front.return_value(refresh=True), 9)
        self.assertEqual(self.client.zcard(registry.allowed_key), 0)
        self.assertEqual(self.client.zcard(registry.rate_limited_key), 0)

    def test_a_queue_is_emptied_with_what_belongs_to_its_jobs(self):
        queue = self.queue()
        jobs = [queue.enqueue(add, number, 0) for number in range(30)]
        queue.enqueue(add, 1, 1, depends_on=jobs[0])
        self.assertEqual(queue.empty(), 30)
        self.assertEqual(queue.count, 0)
        self.assertFalse(Job.exists(jobs[0].id, connection=self.client))
        self.assertEqual(self.client.exists(jobs[0].dependents_key), 0)
        queue.enqueue(add, 1, 1)
        queue.delete(delete_jobs=True)
        self.assertNotIn(queue, Queue.all(connection=self.client))

    def test_many_jobs_are_added_at_once_and_run_in_order(self):
        queue = self.queue()
        with self.client.pipeline() as pipeline:
            queue.enqueue_many(
                [Queue.prepare_data(remember, (URL, "seen", n)) for n in range(20)],
                pipeline=pipeline,
            )
            pipeline.execute()
        self.work(queue)
        self.assertEqual(self.control.lrange("seen", 0, -1), [b"%d" % n for n in range(20)])

    def test_a_group_knows_its_jobs_and_callbacks_are_called(self):
        queue = self.queue()
        group = Group.create(connection=self.client)
        jobs = group.enqueue_many(
            queue,
            [
                Queue.prepare_data(add, (1, 2), on_success=Callback("tasks.on_success")),
                Queue.prepare_data(fail, on_failure=Callback("tasks.on_failure")),
            ],
        )
        self.assertEqual({job.id for job in group.get_jobs()}, {job.id for job in jobs})
        self.work(queue)
        self.assertEqual(self.control.lrange("called", 0, -1), [b"success 3", b"failure ValueError"])

    def test_registries_are_cleaned_and_abandoned_jobs_fail(self):
        queue = self.queue()
        short = queue.enqueue(add, 1, 1, result_ttl=1)
        self.work(queue)
        worker = self.worker_process(queue)
        abandoned = queue.enqueue(slow, URL, "horse")
        horse = int(until(lambda: self.control.get("horse"), "the job to start"))
        worker.end(signal.SIGKILL)
        os.kill(horse, signal.SIGKILL)
        # As if the time had passed for which the worker had promised to be back.
        registry = queue.started_job_registry.key
        [execution] = self.client.zrange(registry, 0, -1)
        self.client.zadd(registry, {execution: 1})
        clean_registries(queue)
        self.assertEqual(abandoned.get_status(refresh=True), "failed")
        self.assertEqual(queue.failed_job_registry.get_job_ids(), [abandoned.id])

        def cleaned():
            clean_registries(queue)
            return queue.finished_job_registry.count == 0

        until(cleaned, "the end of a result")
        until(lambda: not Job.exists(short.id, connection=self.client), "the end of the job")


class Scheduler(RqTest):
    def test_a_lock_of_the_scheduler_has_one_owner(self):
        take = lambda owner: acquire_or_refresh_lock(self.client, "rq:lock", owner, 100)
        self.assertEqual([take("a"), take("b"), take("a")], ["acquired", "taken", "refreshed"])
        self.assertIn(self.client.ttl("rq:lock"), range(90, 101))
        self.assertFalse(release_lock(self.client, "rq:lock", "b"))
        self.assertTrue(release_lock(self.client, "rq:lock", "a"))
        self.assertEqual(take("b"), "acquired")

    def test_scheduled_jobs_are_queued_when_they_are_due(self):
        queue = self.queue()
        due = queue.enqueue_at(datetime.now(timezone.utc) - timedelta(seconds=5), add, 1, 1)
        later = queue.enqueue_in(timedelta(hours=1), add, 2, 2)
        schedulers = [RQScheduler([queue], connection=self.client) for _ in range(2)]
        self.assertEqual(schedulers[0].acquire_locks(), {queue.name})
        self.assertEqual(schedulers[1].acquire_locks(), set())
        schedulers[0].enqueue_scheduled_jobs()
        self.assertEqual(queue.job_ids, [due.id])
        self.assertEqual(queue.scheduled_job_registry.get_job_ids(), [later.id])
        schedulers[0].release_locks()
        self.assertEqual(schedulers[1].acquire_locks(), {queue.name})

    def test_a_worker_with_a_scheduler_runs_delayed_repeated_and_retried_jobs(self):
        queue = self.queue()
        delayed = queue.enqueue_in(timedelta(seconds=1), add, 1, 1)
        queue.enqueue(count_up, URL, "runs", repeat=Repeat(times=1, interval=1))
        retried = queue.enqueue(fail_times, URL, "tries", 1, retry=Retry(max=1, interval=1))
        self.worker_process(queue, options=["--with-scheduler"])
        self.status(delayed, "finished")
        self.status(retried, "finished")
        until(lambda: self.control.get("runs") == b"2", "two runs")


class Workers(RqTest):
    def test_a_worker_process_forks_for_each_job_and_stops_when_asked(self):
        queue = self.queue()
        process = self.worker_process(queue)
        jobs = [queue.enqueue(add, number, 1) for number in range(3)]
        bad = queue.enqueue(fail)
        for job in jobs:
            self.status(job, "finished")
        self.status(bad, "failed")
        [worker] = Worker.all(connection=self.client)
        self.assertEqual(worker.queue_names(), [queue.name])
        until(lambda: worker.refresh() or worker.failed_job_count == 1, "the worker's counts")
        self.assertEqual(worker.successful_job_count, 3)
        process.end(signal.SIGTERM)
        until(lambda: not Worker.all(connection=self.client), "the worker to leave")

    def test_a_job_whose_process_is_killed_fails(self):
        queue = self.queue()
        self.worker_process(queue)
        job = queue.enqueue(slow, URL, "horse")
        horse = int(until(lambda: self.control.get("horse"), "the job to start"))
        self.assertEqual(queue.started_job_registry.get_job_ids(), [job.id])
        os.kill(horse, signal.SIGKILL)
        self.status(job, "failed")
        self.assertIn("terminated unexpectedly", job.latest_result().exc_string)

    def test_a_running_job_is_stopped_by_a_command(self):
        from rq.command import send_stop_job_command

        queue = self.queue()
        self.worker_process(queue)
        job = queue.enqueue(slow, URL, "horse")
        until(lambda: self.control.get("horse"), "the job to start")
        send_stop_job_command(self.client, job.id)
        self.status(job, "stopped")

    def test_a_suspended_worker_takes_no_job(self):
        queue = self.queue()
        job = queue.enqueue(add, 1, 1)
        suspend(self.client)
        self.work(queue)
        self.assertEqual(queue.job_ids, [job.id])
        resume(self.client)
        self.work(queue)
        self.assertEqual(job.return_value(refresh=True), 2)


if __name__ == "__main__":
    unittest.main()
