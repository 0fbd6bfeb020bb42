"""redis-py, synchronous, over RESP2 and RESP3: queues, publish/subscribe, streams and groups, pipelines, transactions."""

import unittest

import redis
from redis.cache import CacheConfig
from redis.exceptions import NoPermissionError, ResponseError, WatchError

from common import CONTROL_URL, PATIENCE_S, RESTRICTED, URL, Background, database, until


class Suite:
    """The tests; the two classes at the foot run them once per protocol version."""

    protocol = 2

    def connect(self, url=URL, **options):
        client = redis.Redis.from_url(url, protocol=self.protocol, **{"decode_responses": True, **options})
        self.addCleanup(client.close)
        return client

    def setUp(self):
        self.r, self.control = self.connect(), self.connect(CONTROL_URL)
        self.control.flushall()

    def blocked_clients(self, count):
        until(lambda: self.control.info("clients")["blocked_clients"] == count, f"{count} blocked clients")

    # -- connection and server ------------------------------------------------------------------

    def test_the_handshake_names_the_client_and_the_protocol(self):
        named = self.connect(client_name="worker-7")
        self.assertTrue(named.ping())
        self.assertEqual(named.client_getname(), "worker-7")
        info = named.client_info()
        self.assertEqual(int(info["resp"]), self.protocol)
        self.assertEqual(info["lib-name"], "redis-py")
        self.assertEqual(named.echo("hello"), "hello")

    def test_info_is_parsed_into_the_fields_clients_switch_on(self):
        info = self.control.info()
        version = tuple(int(part) for part in info["redis_version"].split("."))
        self.assertGreaterEqual(version, (7, 2, 0))
        self.assertEqual(info["role"], "master")
        self.assertEqual(info["loading"], 0)
        self.assertGreater(info["used_memory"], 0)
        self.r.set("k", "v")
        self.assertEqual(self.control.info("keyspace")["db0"]["keys"], 1)

    def test_a_connection_selects_its_database_from_the_url(self):
        other = self.connect(database(3))
        other.set("only-in-three", "x")
        self.assertIsNone(self.r.get("only-in-three"))
        self.assertEqual(other.dbsize(), 1)
        self.assertEqual(other.move("only-in-three", 0), True)
        self.assertEqual(self.r.get("only-in-three"), "x")

    def test_config_and_client_commands(self):
        self.assertEqual(self.control.config_get("databases"), {"databases": "16"})
        before = self.control.config_get("list-max-listpack-size")["list-max-listpack-size"]
        self.assertTrue(self.control.config_set("list-max-listpack-size", "64"))
        self.assertEqual(self.control.config_get("list-max-listpack-size")["list-max-listpack-size"], "64")
        self.control.config_set("list-max-listpack-size", before)
        own = self.r.client_id()
        self.assertIn(own, [int(client["id"]) for client in self.control.client_list()])
        seconds, micros = self.r.time()
        self.assertGreater(seconds, 1_600_000_000)
        self.assertLess(micros, 1_000_000)

    def test_an_error_reply_becomes_the_clients_exception_and_the_connection_lives(self):
        self.r.set("text", "x")
        with self.assertRaisesRegex(ResponseError, "WRONGTYPE|wrong kind of value"):
            self.r.lpush("text", "y")
        with self.assertRaisesRegex(ResponseError, "unknown command"):
            self.r.execute_command("NOSUCHCOMMAND", "a")
        with self.assertRaisesRegex(ResponseError, "wrong number of arguments"):
            self.r.execute_command("LPUSH", "only-a-key")
        self.assertEqual(self.r.get("text"), "x")

    def test_killing_a_client_closes_it_and_it_reconnects(self):
        victim = self.connect()
        victim_id = victim.client_id()
        self.assertEqual(self.control.client_kill_filter(_id=victim_id), 1)
        self.assertNotIn(victim_id, [int(client["id"]) for client in self.control.client_list()])
        self.assertNotEqual(victim.client_id(), victim_id)

    @unittest.skipUnless(RESTRICTED, "the user may do everything")
    def test_what_the_user_may_not_is_an_error_of_its_own(self):
        def listen():
            pubsub = self.connect().pubsub()
            self.addCleanup(pubsub.close)
            pubsub.subscribe("OTHERS")
            pubsub.get_message(timeout=PATIENCE_S)

        for denied in (
            listen,
            self.r.flushall,
            lambda: self.r.get("OTHERS"),
            lambda: self.r.publish("OTHERS", "x"),
            lambda: self.r.pipeline().set("mine", 1).set("OTHERS", 1).execute(),
        ):
            with self.assertRaises(NoPermissionError):
                denied()
        with self.assertRaisesRegex(ResponseError, "ACL failure in script: No permissions to access a key"):
            self.r.eval("return redis.call('GET', 'OTHERS')", 0)
        self.assertEqual(self.control.dbsize(), 0)

    # -- strings and keys -----------------------------------------------------------------------

    def test_strings_counters_and_expiry(self):
        self.assertTrue(self.r.set("a", 1, ex=100))
        self.assertIsNone(self.r.set("a", 2, nx=True))
        self.assertEqual(self.r.set("a", 2, xx=True, get=True, keepttl=True), "1")
        self.assertIn(self.r.ttl("a"), range(90, 101))
        self.assertEqual(self.r.incr("a", 40), 42)
        self.assertEqual(self.r.incrbyfloat("a", 0.5), 42.5)
        self.assertEqual(self.r.append("b", "xyz"), 3)
        self.assertEqual(self.r.getrange("b", 1, -1), "yz")
        self.assertTrue(self.r.mset({"c": "1", "d": "2"}))
        self.assertEqual(self.r.mget("c", "missing", "d"), ["1", None, "2"])
        self.assertFalse(self.r.msetnx({"d": "9", "e": "9"}))
        self.assertEqual(self.r.getdel("c"), "1")
        self.assertEqual(self.r.exists("a", "b", "c", "d"), 3)
        self.assertTrue(self.r.persist("a"))
        self.assertEqual(self.r.ttl("a"), -1)
        self.assertTrue(self.r.pexpire("a", 30))
        until(lambda: self.r.get("a") is None, "expiry of a")

    def test_keys_are_renamed_copied_scanned_and_deleted(self):
        for number in range(500):
            self.r.set(f"key:{number}", number)
        self.r.rpush("queue", "x")
        self.assertEqual(len(set(self.r.scan_iter(match="key:*", count=37))), 500)
        self.assertEqual(list(self.r.scan_iter(_type="list")), ["queue"])
        self.assertEqual(sorted(self.control.keys("key:49?")), [f"key:{n}" for n in range(490, 500)])
        self.assertTrue(self.r.rename("key:0", "moved"))
        self.assertEqual(self.r.get("moved"), "0")
        self.assertTrue(self.r.copy("moved", "copy"))
        self.assertEqual(self.r.type("queue"), "list")
        self.assertEqual(self.r.unlink(*[f"key:{n}" for n in range(1, 500)]), 499)
        self.assertEqual(self.r.dbsize(), 3)

    def test_binary_values_come_back_to_the_byte(self):
        raw = self.connect(decode_responses=False)
        value = bytes(range(256)) * 1000
        raw.set(b"bin\r\n\x00key", value)
        self.assertEqual(raw.get(b"bin\r\n\x00key"), value)
        raw.rpush(b"bin-list", value, b"", b"\r\n")
        self.assertEqual(raw.lrange(b"bin-list", 0, -1), [value, b"", b"\r\n"])

    # -- lists as queues ------------------------------------------------------------------------

    def test_a_queue_keeps_its_order(self):
        self.assertEqual(self.r.lpush("jobs", "1", "2", "3"), 3)
        self.assertEqual(self.r.rpop("jobs"), "1")
        self.assertEqual(self.r.rpop("jobs", 5), ["2", "3"])
        self.assertIsNone(self.r.rpop("jobs"))
        self.assertEqual(self.r.exists("jobs"), 0)

    def test_every_list_operation_answers_as_documented(self):
        r = self.r
        r.rpush("l", *"abcabc")
        self.assertEqual(r.lrange("l", 1, -2), list("bcab"))
        self.assertEqual(r.llen("l"), 6)
        self.assertEqual(r.lindex("l", -1), "c")
        self.assertEqual(r.linsert("l", "before", "c", "X"), 7)
        self.assertEqual(r.lpos("l", "b", rank=-1), 5)
        self.assertEqual(r.lpos("l", "b", count=0), [1, 5])
        self.assertTrue(r.lset("l", 0, "A"))
        self.assertEqual(r.lrem("l", -1, "b"), 1)
        self.assertTrue(r.ltrim("l", 1, 3))
        self.assertEqual(r.lrange("l", 0, -1), ["b", "X", "c"])
        self.assertEqual(r.lpushx("none", "x"), 0)
        self.assertEqual(r.rpushx("l", "d"), 4)
        self.assertEqual(r.lmove("l", "m", "LEFT", "RIGHT"), "b")
        self.assertEqual(r.rpoplpush("l", "m"), "d")
        self.assertEqual(r.lrange("m", 0, -1), ["d", "b"])
        self.assertEqual(r.lmpop(2, "none", "m", direction="LEFT", count=10), ["m", ["d", "b"]])

    def test_a_blocked_worker_receives_what_is_pushed_later(self):
        worker = self.connect()
        waiting = Background(lambda: worker.brpop(["high", "low"], timeout=PATIENCE_S))
        self.blocked_clients(1)
        self.r.lpush("low", "job")
        self.assertEqual(list(waiting.result()), ["low", "job"])

    def test_a_blocking_pop_prefers_the_first_key_with_work(self):
        self.r.rpush("low", "l")
        self.r.rpush("high", "h")
        self.assertEqual(list(self.r.blpop(["high", "low"], timeout=1)), ["high", "h"])
        self.assertEqual(self.r.blmpop(1, 2, "high", "low", direction="RIGHT"), ["low", ["l"]])

    def test_a_blocking_pop_times_out_with_none(self):
        self.assertIsNone(self.r.blpop(["empty"], timeout=0.05))
        self.assertIsNone(self.r.blmove("empty", "other", timeout=0.05))

    def test_waiting_workers_are_served_first_come_first_served(self):
        workers = []
        for number in range(4):
            client = self.connect()
            workers.append(Background(lambda client=client: client.blpop(["q"], timeout=PATIENCE_S)))
            self.blocked_clients(number + 1)
        self.r.rpush("q", "0", "1", "2", "3")
        self.assertEqual([list(w.result()) for w in workers], [["q", str(n)] for n in range(4)])

    def test_a_reliable_queue_moves_jobs_through_a_processing_list(self):
        worker = self.connect()
        waiting = Background(lambda: worker.blmove("todo", "doing", PATIENCE_S, "RIGHT", "LEFT"))
        self.blocked_clients(1)
        self.r.lpush("todo", "job")
        self.assertEqual(waiting.result(), "job")
        self.assertEqual(self.r.lrange("doing", 0, -1), ["job"])
        self.assertEqual(self.r.lrem("doing", 1, "job"), 1)

    def test_a_blocked_client_is_unblocked_by_its_id(self):
        worker = self.connect(single_connection_client=True)
        worker_id = worker.client_id()
        waiting = Background(lambda: worker.blpop(["never"], timeout=PATIENCE_S))
        self.blocked_clients(1)
        self.assertTrue(self.control.client_unblock(worker_id, error=True))
        with self.assertRaisesRegex(ResponseError, "UNBLOCKED|unblocked"):
            waiting.result()

    # -- publish/subscribe ----------------------------------------------------------------------

    def subscriber(self, channels=(), patterns=()):
        pubsub = self.connect().pubsub()
        self.addCleanup(pubsub.close)
        if channels:
            pubsub.subscribe(*channels)
        if patterns:
            pubsub.psubscribe(*patterns)
        for _ in range(len(channels) + len(patterns)):
            self.assertIn(self.next_message(pubsub)["type"], ("subscribe", "psubscribe"))
        return pubsub

    def next_message(self, pubsub):
        return until(lambda: pubsub.get_message(timeout=0.1), "a message")

    def test_messages_reach_channel_and_pattern_subscribers(self):
        plain = self.subscriber(channels=["news.tech"])
        pattern = self.subscriber(patterns=["news.*", "n[e-f]ws.?ech"])
        self.assertEqual(self.r.publish("news.tech", "hello"), 3)
        message = self.next_message(plain)
        self.assertEqual((message["type"], message["channel"], message["data"]), ("message", "news.tech", "hello"))
        both = [self.next_message(pattern) for _ in range(2)]
        self.assertEqual({m["pattern"] for m in both}, {"news.*", "n[e-f]ws.?ech"})
        self.assertEqual({(m["type"], m["channel"], m["data"]) for m in both}, {("pmessage", "news.tech", "hello")})
        self.assertEqual(self.r.publish("weather", "rain"), 0)

    def test_messages_arrive_in_the_order_published(self):
        pubsub = self.subscriber(channels=["ordered"])
        pipe = self.r.pipeline(transaction=False)
        for number in range(1000):
            pipe.publish("ordered", number)
        self.assertEqual(pipe.execute(), [1] * 1000)
        self.assertEqual([self.next_message(pubsub)["data"] for _ in range(1000)], [str(n) for n in range(1000)])

    def test_handlers_run_and_unsubscribing_stops_them(self):
        seen = []
        pubsub = self.connect().pubsub(ignore_subscribe_messages=True)
        self.addCleanup(pubsub.close)
        pubsub.subscribe(**{"orders": lambda message: seen.append(message["data"])})
        until(lambda: self.r.publish("orders", "first"), "the subscription")
        until(lambda: pubsub.get_message(timeout=0.1) or seen, "the handler")
        self.assertEqual(seen, ["first"])
        pubsub.unsubscribe("orders")
        until(lambda: pubsub.get_message(timeout=0.1) or self.r.publish("orders", "second") == 0, "unsubscribing")
        self.assertEqual(seen, ["first"])

    def test_introspection_counts_subscribers(self):
        pubsub = self.subscriber(channels=["one", "two"], patterns=["t*"])
        self.assertEqual(sorted(self.r.pubsub_channels()), ["one", "two"])
        self.assertEqual(self.r.pubsub_channels("t*"), ["two"])
        self.assertEqual([list(p) for p in self.r.pubsub_numsub("one", "none")], [["one", 1], ["none", 0]])
        self.assertEqual(self.r.pubsub_numpat(), 1)
        self.assertTrue(pubsub.subscribed)
        if self.protocol == 2:  # in RESP3 the answer to PING is an ordinary reply, not a message
            pubsub.ping()
            self.assertEqual(self.next_message(pubsub)["type"], "pong")

    def test_keyspace_notifications_are_published(self):
        self.control.config_set("notify-keyspace-events", "KEA")
        self.addCleanup(self.control.config_set, "notify-keyspace-events", "")
        pubsub = self.subscriber(patterns=["__key*@0__:*"])
        self.r.rpush("watched", "x")
        messages = [self.next_message(pubsub) for _ in range(2)]
        self.assertEqual(
            [(m["channel"], m["data"]) for m in messages],
            [("__keyspace@0__:watched", "rpush"), ("__keyevent@0__:rpush", "watched")],
        )

    # -- streams and groups ---------------------------------------------------------------------

    def test_entries_are_appended_and_read_by_range(self):
        ids = [self.r.xadd("s", {"n": n}, id=f"{n}-1") for n in range(1, 6)]
        self.assertEqual(ids, ["1-1", "2-1", "3-1", "4-1", "5-1"])
        self.assertEqual(self.r.xlen("s"), 5)
        self.assertEqual(self.entries(self.r.xrange("s", "2", "(4-1")), [("2-1", {"n": "2"}), ("3-1", {"n": "3"})])
        self.assertEqual([i for i, _ in self.entries(self.r.xrevrange("s", count=2))], ["5-1", "4-1"])
        self.assertEqual(self.r.xdel("s", "3-1", "9-9"), 1)
        self.assertEqual(self.r.xtrim("s", maxlen=2, approximate=False), 2)
        self.assertEqual([i for i, _ in self.entries(self.r.xrange("s"))], ["4-1", "5-1"])
        with self.assertRaisesRegex(ResponseError, "equal or smaller than the target stream top item"):
            self.r.xadd("s", {"n": 0}, id="1-1")

    def test_generated_ids_grow(self):
        pipe = self.r.pipeline(transaction=False)
        for number in range(1000):
            pipe.xadd("s", {"n": number})
        ids = [tuple(int(part) for part in entry_id.split("-")) for entry_id in pipe.execute()]
        self.assertEqual(ids, sorted(set(ids)))

    def test_an_approximate_limit_keeps_the_stream_near_it(self):
        pipe = self.r.pipeline(transaction=False)
        for number in range(5000):
            pipe.xadd("capped", {"n": number}, maxlen=1000, approximate=True)
        pipe.execute()
        self.assertIn(self.r.xlen("capped"), range(1000, 1200))

    def entries(self, reply):
        return [(entry_id, dict(fields)) for entry_id, fields in reply]

    def read(self, reply):
        """The answer of XREAD/XREADGROUP as {stream: [(id, fields)]}, whichever shape the protocol has."""
        if not reply:
            return {}
        pairs = reply.items() if isinstance(reply, dict) else reply
        streams = {}
        for name, batch in pairs:
            if batch and isinstance(batch[0], list) and batch[0] and isinstance(batch[0][0], (list, tuple)):
                batch = batch[0]  # RESP3 as older redis-py hands it on: one more list around the entries
            streams[name] = [(entry_id, None if fields is None else dict(fields)) for entry_id, fields in batch]
        return streams

    def test_a_reader_follows_several_streams_and_blocks_for_new_entries(self):
        self.r.xadd("s1", {"a": "1"}, id="1-0")
        self.r.xadd("s2", {"b": "2"}, id="2-0")
        self.assertEqual(
            self.read(self.r.xread({"s1": "0", "s2": "0"}, count=10)),
            {"s1": [("1-0", {"a": "1"})], "s2": [("2-0", {"b": "2"})]},
        )
        reader = self.connect()
        waiting = Background(lambda: reader.xread({"s1": "$", "s2": "$"}, block=PATIENCE_S * 1000))
        self.blocked_clients(1)
        self.r.xadd("s2", {"b": "3"}, id="3-0")
        self.assertEqual(self.read(waiting.result()), {"s2": [("3-0", {"b": "3"})]})
        self.assertEqual(self.read(self.r.xread({"s1": "$"}, block=20)), {})

    def test_a_group_is_created_with_the_subcommand_glued_to_its_command(self):
        self.assertIn(self.r.execute_command("XGROUP CREATE", "s", "g", "$", "MKSTREAM"), (True, "OK"))
        self.assertEqual(self.r.xlen("s"), 0)
        groups = self.r.execute_command("XINFO GROUPS", "s")
        self.assertEqual(len(groups), 1)
        self.assertEqual(self.control.execute_command("CONFIG GET", "databases"), {"databases": "16"})
        with self.assertRaisesRegex(ResponseError, "Consumer Group name already exists"):
            self.r.xgroup_create("s", "g")
        with self.assertRaisesRegex(ResponseError, "requires the key to exist"):
            self.r.xgroup_create("absent", "g")

    def test_a_group_hands_each_entry_to_one_consumer(self):
        self.r.xgroup_create("s", "g", id="0", mkstream=True)
        for number in range(1, 11):
            self.r.xadd("s", {"n": number}, id=f"{number}-0")
        first = self.read(self.r.xreadgroup("g", "alice", {"s": ">"}, count=4))["s"]
        second = self.read(self.r.xreadgroup("g", "bob", {"s": ">"}))["s"]
        self.assertEqual([i for i, _ in first + second], [f"{n}-0" for n in range(1, 11)])
        self.assertEqual(self.r.xack("s", "g", "1-0", "2-0", "99-0"), 2)
        summary = self.r.xpending("s", "g")
        self.assertEqual((summary["pending"], summary["min"], summary["max"]), (8, "3-0", "10-0"))
        self.assertEqual(
            sorted((c["name"], int(c["pending"])) for c in summary["consumers"]), [("alice", 2), ("bob", 6)]
        )
        mine = self.read(self.r.xreadgroup("g", "alice", {"s": "0"}))["s"]
        self.assertEqual([i for i, _ in mine], ["3-0", "4-0"])
        self.assertEqual(self.read(self.r.xreadgroup("g", "alice", {"s": ">"})).get("s", []), [])

    def test_a_consumer_blocks_for_work_and_a_destroyed_group_wakes_it(self):
        self.r.xgroup_create("s", "g", mkstream=True)
        consumer = self.connect()
        waiting = Background(lambda: consumer.xreadgroup("g", "c", {"s": ">"}, block=PATIENCE_S * 1000))
        self.blocked_clients(1)
        self.r.xadd("s", {"job": "1"}, id="7-0")
        self.assertEqual(self.read(waiting.result()), {"s": [("7-0", {"job": "1"})]})
        waiting = Background(lambda: consumer.xreadgroup("g", "c", {"s": ">"}, block=PATIENCE_S * 1000))
        self.blocked_clients(1)
        self.assertEqual(self.r.xgroup_destroy("s", "g"), 1)
        with self.assertRaisesRegex(ResponseError, "NOGROUP|consumer group"):
            waiting.result()

    def test_a_dead_consumers_work_is_reclaimed(self):
        self.r.xgroup_create("s", "g", id="0", mkstream=True)
        for number in range(1, 31):
            self.r.xadd("s", {"n": number}, id=f"{number}-0")
        self.r.xreadgroup("g", "dead", {"s": ">"})
        self.r.xdel("s", "5-0")
        reclaimed, deleted, start = [], [], "0-0"
        while True:
            start, batch, gone = self.r.xautoclaim("s", "g", "alive", min_idle_time=0, start_id=start, count=10)
            reclaimed += [entry_id for entry_id, _ in batch]
            deleted += gone
            if start == "0-0":
                break
        self.assertEqual(reclaimed, [f"{n}-0" for n in range(1, 31) if n != 5])
        self.assertEqual(deleted, ["5-0"])
        for entry_id in reclaimed:
            self.r.xack("s", "g", entry_id)
        self.assertEqual(self.r.xpending("s", "g")["pending"], 0)

    def test_pending_entries_are_listed_and_claimed(self):
        self.r.xgroup_create("s", "g", id="0", mkstream=True)
        self.r.xadd("s", {"n": 1}, id="1-0")
        self.r.xadd("s", {"n": 2}, id="2-0")
        self.r.xreadgroup("g", "slow", {"s": ">"})
        rows = self.r.xpending_range("s", "g", min="-", max="+", count=10, consumername="slow")
        self.assertEqual(
            [(row["message_id"], row["consumer"], row["times_delivered"]) for row in rows],
            [("1-0", "slow", 1), ("2-0", "slow", 1)],
        )
        self.assertEqual(self.r.xpending_range("s", "g", min="-", max="+", count=10, idle=3_600_000), [])
        self.assertEqual(self.r.xclaim("s", "g", "fast", 3_600_000, ["1-0"]), [])
        claimed = self.entries(self.r.xclaim("s", "g", "fast", 0, ["1-0"]))
        self.assertEqual(claimed, [("1-0", {"n": "1"})])
        self.assertEqual(self.r.xclaim("s", "g", "fast", 0, ["2-0"], justid=True), ["2-0"])
        rows = self.r.xpending_range("s", "g", min="-", max="+", count=10)
        self.assertEqual([(row["consumer"], row["times_delivered"]) for row in rows], [("fast", 2), ("fast", 1)])

    def test_xinfo_tells_length_groups_lag_and_consumers(self):
        self.r.xgroup_create("s", "g", id="0", mkstream=True)
        for number in range(1, 6):
            self.r.xadd("s", {"n": number}, id=f"{number}-0")
        self.r.xreadgroup("g", "c1", {"s": ">"}, count=2)
        self.r.xgroup_createconsumer("s", "g", "c2")
        stream = self.r.xinfo_stream("s")
        self.assertEqual((stream["length"], stream["groups"], stream["last-generated-id"]), (5, 1, "5-0"))
        self.assertEqual(stream["first-entry"][0], "1-0")
        group = self.r.xinfo_groups("s")[0]
        self.assertEqual((group["name"], group["pending"], group["lag"], group["entries-read"]), ("g", 2, 3, 2))
        consumers = {row["name"]: row["pending"] for row in self.r.xinfo_consumers("s", "g")}
        self.assertEqual(consumers, {"c1": 2, "c2": 0})
        full = self.r.xinfo_stream("s", full=True)
        self.assertEqual(full["length"], 5)
        self.assertEqual(len(full["groups"]), 1)
        self.assertEqual(self.r.xgroup_delconsumer("s", "g", "c1"), 2)
        self.assertTrue(self.r.xgroup_setid("s", "g", "0"))

    # -- pipelines and transactions -------------------------------------------------------------

    def test_a_pipeline_returns_every_reply_in_order_errors_included(self):
        pipe = self.r.pipeline(transaction=False)
        pipe.set("n", 1).incr("n").lpush("n", "x").rpush("q", "a", "b").lrange("q", 0, -1).get("none")
        replies = pipe.execute(raise_on_error=False)
        self.assertEqual((replies[0], replies[1]), (True, 2))
        self.assertIsInstance(replies[2], ResponseError)
        self.assertEqual(replies[3:], [2, ["a", "b"], None])

    def test_a_pipeline_over_many_keys_keeps_its_order(self):
        pipe = self.r.pipeline(transaction=False)
        for number in range(2000):
            pipe.set(f"job:{number}", number)
            pipe.lpush(f"queue:{number % 7}", number)
        replies = pipe.execute()
        self.assertEqual(replies[0::2], [True] * 2000)
        self.assertEqual(replies[1::2], [number // 7 + 1 for number in range(2000)])

    def test_a_transaction_runs_whole_or_not_at_all(self):
        pipe = self.r.pipeline()
        pipe.lpush("from", "x").lmove("from", "to", "RIGHT", "LEFT").llen("from").llen("to")
        self.assertEqual(pipe.execute(), [1, "x", 0, 1])
        pipe = self.r.pipeline()
        pipe.set("never", "x").execute_command("NOSUCHCOMMAND")
        with self.assertRaises(ResponseError):
            pipe.execute()
        self.assertIsNone(self.r.get("never"))

    def test_watch_aborts_the_transaction_of_a_changed_key(self):
        self.r.set("balance", 10)
        with self.r.pipeline() as pipe:
            pipe.watch("balance")
            self.assertEqual(pipe.get("balance"), "10")
            self.r.set("balance", 11)
            pipe.multi()
            pipe.set("balance", 20)
            with self.assertRaises(WatchError):
                pipe.execute()
        self.assertEqual(self.r.get("balance"), "11")

    def test_the_optimistic_loop_of_the_client_loses_no_increment(self):
        self.r.set("counter", 0)

        def increment(pipe):
            value = int(pipe.get("counter"))
            pipe.multi()
            pipe.set("counter", value + 1)
            pipe.rpush("log", value + 1)

        def work(client):
            for _ in range(25):
                client.transaction(increment, "counter")

        for worker in [Background(lambda client=self.connect(): work(client)) for _ in range(4)]:
            worker.result()
        self.assertEqual(self.r.get("counter"), "100")
        self.assertEqual(self.r.lrange("log", 0, -1), [str(n) for n in range(1, 101)])


class Resp2(Suite, unittest.TestCase):
    protocol = 2


class Resp3(Suite, unittest.TestCase):
    protocol = 3

    def test_a_client_side_cache_is_told_of_changes(self):
        cached = self.connect(cache_config=CacheConfig())
        keys = [f"key:{n}" for n in range(50)]
        self.r.mset({key: "old" for key in keys})
        for key in keys:
            self.assertEqual(cached.get(key), "old")
        self.assertEqual(cached.get_cache().size, len(keys))
        # From the cache: no command reaches the server.
        asked = self.control.info("commandstats")["cmdstat_get"]["calls"]
        for key in keys:
            self.assertEqual(cached.get(key), "old")
        self.assertEqual(self.control.info("commandstats")["cmdstat_get"]["calls"], asked)
        self.r.mset({key: "new" for key in keys})
        for key in keys:
            until(lambda key=key: cached.get(key) == "new", f"the new value of {key}")
        self.control.flushall()
        until(lambda: cached.get(keys[7]) is None, "the end of a key")


if __name__ == "__main__":
    unittest.main(verbosity=2)
