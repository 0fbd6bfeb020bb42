"""An application of Huey for its consumer, which imports it by name: python -m huey.bin.huey_consumer huey_app.huey"""

import os

from huey import PriorityRedisHuey

huey = PriorityRedisHuey("process", url=os.environ["MILLRACE_URL"], notify_result=True)


@huey.task()
def add(first, second):
    return first + second


@huey.task()
@huey.lock_task("one-at-a-time")
def who():
    return os.getpid()
