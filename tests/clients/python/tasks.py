"""What the workers of the frameworks run: RQ imports it by name, and not from the script that was started."""

import os
import time

import redis


def add(first, second):
    return first + second


def fail():
    raise ValueError("on purpose")


def count_up(url, key):
    """Returns how often it has run."""
    client = redis.Redis.from_url(url)
    try:
        return client.incr(key)
    finally:
        client.close()


def fail_times(url, key, times):
    """Fails so often, then returns the number of the run."""
    run = count_up(url, key)
    if run <= times:
        raise ValueError(f"run {run}")
    return run


def remember(url, key, value):
    client = redis.Redis.from_url(url)
    client.rpush(key, value)
    client.close()


def slow(url, key):
    """Leaves its process's number under the key and sleeps: it is to be killed."""
    client = redis.Redis.from_url(url)
    client.set(key, os.getpid())
    client.close()
    time.sleep(60)


def on_success(_job, connection, result):
    connection.rpush("called", f"success {result}")


def on_failure(_job, connection, kind, _value, _traceback):
    connection.rpush("called", f"failure {kind.__name__}")
