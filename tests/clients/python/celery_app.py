"""An application of Celery for its worker, which imports it by name: python -m celery -A celery_app worker"""

import os
import time

import redis
from celery import Celery

URL = os.environ["MILLRACE_URL"]
app = Celery("tests", broker=URL, backend=URL)
app.conf.update(
    # Tasks of a worker that was killed are looked for often, and given to another when they were taken so many seconds ago.
    broker_transport_options={
        "visibility_timeout": int(os.environ.get("VISIBILITY_TIMEOUT", "3600")),
        "unacked_restore_interval": 0.2,
        "unacked_restore_throttle": 1,
    },
    worker_lost_wait=0.2,
    result_expires=100,
)


@app.task
def add(first, second):
    return first + second


@app.task
def clock():
    return time.time()


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def fail():
    raise ValueError("on purpose")


@app.task(bind=True, max_retries=3)
def third_time(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return self.request.retries


@app.task
def note(text):
    with redis.Redis.from_url(URL) as client:
        client.rpush("notes", text)


@app.task(acks_late=True, reject_on_worker_lost=True)
def hang_once(key):
    """Leaves its process's number under the key and hangs; run again it ends."""
    with redis.Redis.from_url(URL) as client:
        if not client.set(key, os.getpid(), nx=True):
            return "rescued"
    time.sleep(60)
