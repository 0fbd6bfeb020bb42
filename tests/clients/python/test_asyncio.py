"""redis-py on asyncio, over RESP2 and RESP3: many workers in one loop, as asynchronous services use it."""

import asyncio
import unittest

import redis.asyncio as redis
from redis.exceptions import ResponseError, WatchError

from common import CONTROL_URL, PATIENCE_S, URL


def entries_of(reply):
    """The answer of XREAD/XREADGROUP for one stream as [(id, fields)], whichever shape the protocol has."""
    if not reply:
        return []
    batch = next(iter(reply.values())) if isinstance(reply, dict) else reply[0][1]
    if batch and isinstance(batch[0], list) and batch[0] and isinstance(batch[0][0], (list, tuple)):
        batch = batch[0]
    return [(entry_id, None if fields is None else dict(fields)) for entry_id, fields in batch]


class Suite:
    """The tests; the two classes at the foot run them once per protocol version."""

    protocol = 2

    def connect(self, url=URL, **options):
        client = redis.Redis.from_url(url, protocol=self.protocol, decode_responses=True, **options)
        self.addAsyncCleanup(client.aclose)
        return client

    async def asyncSetUp(self):
        self.r, self.control = self.connect(), self.connect(CONTROL_URL)
        await self.control.flushall()

    async def within(self, awaitable):
        return await asyncio.wait_for(awaitable, PATIENCE_S)

    async def until(self, probe, what):
        async def poll():
            while not (value := await probe()):
                await asyncio.sleep(0.005)
            return value

        try:
            return await self.within(poll())
        except asyncio.TimeoutError:
            self.fail(f"waited {PATIENCE_S} s in vain for: {what}")

    async def blocked_clients(self, count):
        async def probe():
            return (await self.control.info("clients"))["blocked_clients"] == count

        await self.until(probe, f"{count} blocked clients")

    async def test_commands_of_every_family_answer(self):
        r = self.r
        self.assertTrue(await r.ping())
        self.assertTrue(await r.set("k", "v", px=60_000))
        self.assertIn(await r.pttl("k"), range(50_000, 60_001))
        self.assertEqual(await r.get("k"), "v")
        self.assertEqual(await r.rpush("l", 1, 2, 3), 3)
        self.assertEqual(await r.lrange("l", 0, -1), ["1", "2", "3"])
        self.assertEqual(await r.lmpop(1, "l", direction="LEFT", count=2), ["l", ["1", "2"]])
        entry_id = await r.xadd("s", {"f": "v"})
        self.assertEqual([(i, dict(f)) for i, f in await r.xrange("s")], [(entry_id, {"f": "v"})])
        self.assertEqual({name async for name in r.scan_iter()}, {"k", "l", "s"})
        with self.assertRaises(ResponseError):
            await r.xadd("l", {"f": "v"})

    async def test_a_fleet_of_blocked_workers_shares_a_queue(self):
        async def work():
            client, done = self.connect(), []
            while True:
                _, job = await client.brpop(["jobs"], timeout=PATIENCE_S)
                if job == "stop":
                    return done
                done.append(int(job))

        workers = [asyncio.create_task(work()) for _ in range(20)]
        await self.blocked_clients(20)
        for start in range(0, 1000, 100):
            await self.r.lpush("jobs", *range(start, start + 100))
        await self.r.lpush("jobs", *["stop"] * 20)
        done = await self.within(asyncio.gather(*workers))
        self.assertEqual(sorted(job for jobs in done for job in jobs), list(range(1000)))

    async def test_a_cancelled_blocking_pop_takes_nothing(self):
        client = self.connect()
        waiting = asyncio.create_task(client.blpop(["q"], timeout=0))
        await self.blocked_clients(1)
        waiting.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await waiting
        await client.connection_pool.disconnect()
        await self.blocked_clients(0)
        await self.r.rpush("q", "kept")
        self.assertEqual(await self.r.lrange("q", 0, -1), ["kept"])

    async def test_messages_are_listened_to_by_channel_and_pattern(self):
        async def listen(pubsub, count):
            received = []
            async for message in pubsub.listen():
                if message["type"] in ("message", "pmessage"):
                    received.append((message["type"], message["channel"], message["data"]))
                    if len(received) == count:
                        return received

        plain, pattern = self.connect().pubsub(), self.connect().pubsub()
        self.addAsyncCleanup(plain.aclose)
        self.addAsyncCleanup(pattern.aclose)
        await plain.subscribe("room:1", "room:2")
        await pattern.psubscribe("room:*")
        listeners = [asyncio.create_task(listen(plain, 2)), asyncio.create_task(listen(pattern, 3))]

        async def subscribed():
            return await self.r.pubsub_numpat() == 1 and len(await self.r.pubsub_channels()) == 2

        await self.until(subscribed, "the subscriptions")
        for room, receivers in (("room:1", 2), ("room:3", 1), ("room:2", 2)):
            self.assertEqual(await self.r.publish(room, f"to {room}"), receivers)
        got_plain, got_pattern = await self.within(asyncio.gather(*listeners))
        self.assertEqual(got_plain, [("message", "room:1", "to room:1"), ("message", "room:2", "to room:2")])
        self.assertEqual([c for _, c, _ in got_pattern], ["room:1", "room:3", "room:2"])

    async def test_consumers_of_a_group_process_each_entry_once(self):
        await self.r.xgroup_create("s", "g", mkstream=True)
        total = 500

        async def consume(name, seen):
            client = self.connect()
            while len(seen) < total:
                reply = await client.xreadgroup("g", name, {"s": ">"}, count=10, block=50)
                for entry_id, fields in entries_of(reply):
                    async with client.pipeline(transaction=True) as pipe:
                        pipe.rpush("results", int(fields["n"]) ** 2)
                        pipe.xack("s", "g", entry_id)
                        replies = await pipe.execute()
                    self.assertEqual(replies[1], 1)
                    seen.append(entry_id)

        seen = []
        consumers = [asyncio.create_task(consume(f"c{n}", seen)) for n in range(5)]
        pipe = self.r.pipeline(transaction=False)
        for number in range(total):
            pipe.xadd("s", {"n": number}, maxlen=10_000, approximate=True)
        ids = await pipe.execute()
        await self.within(asyncio.gather(*consumers))
        self.assertEqual(sorted(seen), sorted(ids))
        self.assertEqual(
            sorted(int(n) for n in await self.r.lrange("results", 0, -1)), [n * n for n in range(total)]
        )
        self.assertEqual((await self.r.xpending("s", "g"))["pending"], 0)

    async def test_a_restarted_consumer_reads_its_own_pending_and_takes_over_the_dead(self):
        await self.r.execute_command("XGROUP CREATE", "s", "g", "0", "MKSTREAM")
        for number in range(1, 6):
            await self.r.xadd("s", {"n": number}, id=f"{number}-0")
        await self.r.xreadgroup("g", "me", {"s": ">"}, count=2)
        await self.r.xreadgroup("g", "dead", {"s": ">"}, count=2)
        own = entries_of(await self.r.xreadgroup("g", "me", {"s": "0"}))
        self.assertEqual([i for i, _ in own], ["1-0", "2-0"])
        _, taken, _ = await self.r.xautoclaim("s", "g", "me", min_idle_time=0, start_id="3-0")
        self.assertEqual([i for i, _ in taken], ["3-0", "4-0"])
        self.assertEqual(await self.r.xack("s", "g", "1-0", "2-0", "3-0", "4-0"), 4)
        rest = entries_of(await self.r.xreadgroup("g", "me", {"s": ">"}, block=1000))
        self.assertEqual(rest, [("5-0", {"n": "5"})])

    async def test_watch_and_the_optimistic_loop(self):
        await self.r.set("n", 1)
        async with self.r.pipeline() as pipe:
            await pipe.watch("n")
            await self.r.incr("n")
            pipe.multi()
            pipe.set("n", 100)
            with self.assertRaises(WatchError):
                await pipe.execute()

        async def increment(pipe):
            value = int(await pipe.get("n"))
            pipe.multi()
            pipe.set("n", value + 1)

        async def work():
            client = self.connect()
            for _ in range(10):
                await client.transaction(increment, "n")

        await self.within(asyncio.gather(*[work() for _ in range(5)]))
        self.assertEqual(await self.r.get("n"), "52")

    async def test_a_pipeline_of_thousands_over_many_keys(self):
        pipe = self.r.pipeline(transaction=False)
        for number in range(3000):
            pipe.rpush(f"q:{number % 50}", number)
        replies = await self.within(pipe.execute())
        self.assertEqual(replies, [number // 50 + 1 for number in range(3000)])
        pipe = self.r.pipeline(transaction=True)
        for queue in range(50):
            pipe.llen(f"q:{queue}")
        self.assertEqual(await pipe.execute(), [60] * 50)


class Resp2(Suite, unittest.IsolatedAsyncioTestCase):
    protocol = 2


class Resp3(Suite, unittest.IsolatedAsyncioTestCase):
    protocol = 3


if __name__ == "__main__":
    unittest.main(verbosity=2)
