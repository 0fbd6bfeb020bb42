"""A task queue and a message layer as their users run them: taskiq, which needs no scripts, and Channels, which does."""

import asyncio
import logging
import unittest

from common import PATIENCE_S, URL, FrameworkTest
from tasks import add

logging.disable(logging.CRITICAL)


class Taskiq(FrameworkTest):
    def run_with(self, make_broker):
        from taskiq.api import run_receiver_task
        from taskiq_redis import RedisAsyncResultBackend

        async def run():
            results = RedisAsyncResultBackend(URL, result_ex_time=100)
            broker = make_broker().with_result_backend(results)
            task = broker.register_task(add, task_name="add")
            await broker.startup()
            worker = asyncio.create_task(run_receiver_task(broker))
            sent = [await task.kiq(number, 1) for number in range(20)]
            for number, one in enumerate(sent):
                result = await one.wait_result(timeout=PATIENCE_S)
                self.assertEqual(result.return_value, number + 1)
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
            await broker.shutdown()

        asyncio.run(run())

    def test_tasks_in_a_list(self):
        from taskiq_redis import ListQueueBroker

        self.run_with(lambda: ListQueueBroker(URL))

    def test_tasks_in_a_stream(self):
        from taskiq_redis import RedisStreamBroker

        self.run_with(lambda: RedisStreamBroker(URL))
        self.assertEqual(self.client.xpending("taskiq", "taskiq")["pending"], 0)


class Channels(FrameworkTest):
    def test_messages_reach_channels_and_groups(self):
        from channels_redis.pubsub import RedisPubSubChannelLayer

        async def run():
            layer = RedisPubSubChannelLayer(hosts=[URL])
            first, second = await layer.new_channel(), await layer.new_channel()
            for channel in (first, second):
                await layer.group_add("room", channel)
            await layer.group_send("room", {"type": "hello", "text": "all"})
            await layer.send(first, {"type": "hello", "text": "one"})
            heard = [await layer.receive(channel) for channel in (first, second, first)]
            self.assertEqual([each["text"] for each in heard], ["all", "all", "one"])
            await layer.group_discard("room", second)
            await layer.flush()

        asyncio.run(asyncio.wait_for(run(), PATIENCE_S))

    def layered(self, work, **options):
        from channels_redis.core import RedisChannelLayer

        async def run():
            layer = RedisChannelLayer(hosts=[URL], **options)
            try:
                await work(layer)
            finally:
                await layer.close_pools()

        asyncio.run(asyncio.wait_for(run(), PATIENCE_S))

    def test_group_members_are_kept_in_sorted_sets(self):
        async def work(layer):
            channel = await layer.new_channel()
            await layer.group_add("room", channel)
            self.assertEqual(self.client.zcard("asgi:group:room"), 1)
            await layer.group_discard("room", channel)
            self.assertEqual(self.client.exists("asgi:group:room"), 0)

        self.layered(work)

    def test_a_group_hears_messages_in_order_over_sorted_sets(self):
        async def work(layer):
            channels = [await layer.new_channel() for _ in range(3)] + ["plain"]
            for channel in channels:
                await layer.group_add("room", channel)
            for number in range(5):
                await layer.group_send("room", {"type": "hello", "number": number})
            for channel in channels:
                heard = [(await layer.receive(channel))["number"] for _ in range(5)]
                self.assertEqual(heard, [0, 1, 2, 3, 4])

        self.layered(work)

    def test_a_channel_that_is_full_is_left_out(self):
        from channels.exceptions import ChannelFull

        async def work(layer):
            for channel in ("full", "free"):
                await layer.group_add("room", channel)
            await layer.send("full", {"type": "hello", "number": 0})
            await layer.send("full", {"type": "hello", "number": 1})
            with self.assertRaises(ChannelFull):
                await layer.send("full", {"type": "hello", "number": 2})
            await layer.group_send("room", {"type": "hello", "number": 3})
            self.assertEqual((await layer.receive("free"))["number"], 3)
            self.assertEqual([(await layer.receive("full"))["number"] for _ in range(2)], [0, 1])

        self.layered(work, capacity=2)

    def test_flushing_the_layer_leaves_other_keys(self):
        async def work(layer):
            for number in range(100):
                await layer.group_add("room", f"channel-{number}")
                await layer.send(f"channel-{number}", {"type": "hello"})
            await layer.flush()
            self.assertEqual(self.client.keys("*"), [b"other"])

        self.client.set("other", "x")
        self.layered(work)


if __name__ == "__main__":
    unittest.main()
