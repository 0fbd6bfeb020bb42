"""arq, in an environment of its own: it wants an older redis-py than the other frameworks."""

import asyncio
import logging
import unittest

import redis
from arq import Worker, create_pool
from arq.connections import RedisSettings
from common import PATIENCE_S, URL

logging.disable(logging.CRITICAL)


async def arq_add(_context, first, second):
    return first + second


class Arq(unittest.TestCase):
    def setUp(self):
        client = redis.Redis.from_url(URL)
        client.flushall()
        client.close()

    def test_jobs_run_now_and_later(self):
        async def run():
            pool = await create_pool(RedisSettings.from_dsn(URL))
            now = await pool.enqueue_job("arq_add", 1, 2)
            later = await pool.enqueue_job("arq_add", 3, 4, _defer_by=0.1)
            again = await pool.enqueue_job("arq_add", 3, 4, _job_id=now.job_id)
            self.assertIsNone(again)
            worker = Worker(
                functions=[arq_add], redis_pool=pool, burst=True, poll_delay=0.05
            )
            await worker.run_check()
            self.assertEqual(await now.result(timeout=PATIENCE_S), 3)
            self.assertEqual(await later.result(timeout=PATIENCE_S), 7)
            await pool.aclose()

        asyncio.run(run())


if __name__ == "__main__":
    unittest.main()
