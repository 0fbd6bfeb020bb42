"""An application of dramatiq for its worker, which imports it by name: python -m dramatiq dramatiq_app"""

import os
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends.redis import RedisBackend

broker = RedisBroker(url=os.environ["MILLRACE_URL"], namespace="process")
broker.add_middleware(Results(backend=RedisBackend(url=os.environ["MILLRACE_URL"])))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def add(first, second):
    return first + second


@dramatiq.actor
def hang(key):
    broker.client.set(key, os.getpid())
    time.sleep(60)
