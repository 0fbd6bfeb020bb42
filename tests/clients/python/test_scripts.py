"""redis-py's locks, scripts and functions, synchronous and asyncio, over RESP2 and RESP3."""

import asyncio
import threading
import unittest

import redis
import redis.asyncio
from common import PATIENCE_S, URL, Background, until
from redis.exceptions import (
    LockError,
    LockNotOwnedError,
    NoScriptError,
    ReadOnlyError,
    ResponseError,
)

TAKE = """
local taken = redis.call('LRANGE', KEYS[1], 0, ARGV[1] - 1)
redis.call('LTRIM', KEYS[1], ARGV[1], -1)
if #taken > 0 then redis.call('RPUSH', KEYS[2], unpack(taken)) end
return taken"""

LIBRARY = """#!lua name=counting
local function add(keys, args)
  return redis.call('INCRBY', keys[1], args[1])
end
redis.register_function('add', add)
redis.register_function{
  function_name = 'read',
  callback = function(keys) return redis.call('GET', keys[1]) end,
  flags = {'no-writes'},
}"""


class Suite:
    """The tests; the two classes at the foot run them once per protocol version."""

    protocol = 2

    def connect(self, **options):
        client = redis.Redis.from_url(URL, protocol=self.protocol, **{"decode_responses": True, **options})
        self.addCleanup(client.close)
        return client

    def setUp(self):
        self.r = self.connect()
        self.r.flushall()
        self.r.script_flush()
        self.r.function_flush()

    # -- locks ----------------------------------------------------------------------------------

    def test_a_lock_is_held_by_one_and_released_by_its_owner(self):
        lock = self.r.lock("lock", timeout=100)
        other = self.r.lock("lock", timeout=100, blocking=False)
        self.assertTrue(lock.acquire())
        self.assertTrue(lock.locked() and lock.owned())
        self.assertIn(self.r.ttl("lock"), range(90, 101))
        self.assertFalse(other.acquire())
        self.assertFalse(other.owned())
        lock.release()
        self.assertEqual(self.r.exists("lock"), 0)
        self.assertTrue(other.acquire())
        with self.assertRaises(LockError):
            lock.release()
        self.assertTrue(other.owned())

    def test_a_lock_is_extended_and_had_anew_by_its_owner_only(self):
        lock = self.r.lock("lock", timeout=100)
        lock.acquire()
        lock.extend(50)
        self.assertIn(self.r.pttl("lock"), range(140_000, 150_001))
        lock.extend(10, replace_ttl=True)
        self.assertIn(self.r.pttl("lock"), range(5_000, 10_001))
        lock.reacquire()
        self.assertIn(self.r.pttl("lock"), range(90_000, 100_001))
        self.r.set("lock", "another")
        for attempt in (lambda: lock.extend(10), lock.reacquire, lock.release):
            with self.assertRaises(LockNotOwnedError):
                attempt()
        self.assertEqual(self.r.get("lock"), "another")

    def test_a_lock_ends_after_its_time(self):
        lock = self.r.lock("lock", timeout=0.05)
        lock.acquire()
        until(lambda: not lock.locked(), "the end of the lock")
        with self.assertRaises(LockNotOwnedError):
            lock.release()

    def test_a_lock_that_is_waited_for_is_had_when_it_is_free(self):
        held = self.r.lock("lock", timeout=100)
        held.acquire()
        with self.assertRaises(LockError):
            with self.r.lock("lock", blocking_timeout=0.05, sleep=0.01):
                pass
        waiting = Background(lambda: self.connect().lock("lock", sleep=0.01).acquire(blocking_timeout=PATIENCE_S))
        held.release()
        self.assertTrue(waiting.result())

    def test_workers_under_a_lock_lose_no_step(self):
        self.r.set("n", 0)

        def work():
            client = self.connect()
            for _ in range(20):
                with client.lock("lock", timeout=100, sleep=0.001):
                    client.set("n", int(client.get("n")) + 1)

        for one in [Background(work) for _ in range(4)]:
            one.result()
        self.assertEqual(self.r.get("n"), "80")

    def test_a_lock_that_is_not_bound_to_its_thread_is_released_by_another(self):
        lock = self.r.lock("lock", timeout=100, thread_local=False)
        lock.acquire()
        Background(lock.release).result()
        self.assertEqual(self.r.exists("lock"), 0)

    def test_an_asyncio_lock_is_held_extended_and_released(self):
        async def run():
            client = redis.asyncio.Redis.from_url(URL, protocol=self.protocol)
            first = client.lock("lock", timeout=100)
            async with first:
                other = client.lock("lock", blocking=False)
                self.assertFalse(await other.acquire())
                await first.extend(50)
                self.assertIn(await client.pttl("lock"), range(140_000, 150_001))
                await first.reacquire()
                waiting = asyncio.create_task(client.lock("lock", sleep=0.01, timeout=100).acquire())
            self.assertTrue(await waiting)
            with self.assertRaises(LockError):
                await first.release()
            self.assertEqual(await client.exists("lock"), 1)
            await client.aclose()

        asyncio.run(asyncio.wait_for(run(), PATIENCE_S))

    # -- scripts --------------------------------------------------------------------------------

    def test_a_registered_script_is_sent_again_where_it_is_not_known(self):
        take = self.r.register_script(TAKE)
        self.r.rpush("from", "a", "b", "c", "d")
        self.assertEqual(take(keys=["from", "to"], args=[1]), ["a"])
        self.assertEqual(self.r.script_exists(take.sha), [True])
        self.r.script_flush()
        self.assertEqual(self.r.script_exists(take.sha, "f" * 40), [False, False])
        self.assertEqual(take(keys=["from", "to"], args=[2]), ["b", "c"])
        self.assertEqual(take(keys=["from", "to"], args=[2], client=self.connect()), ["d"])
        self.assertEqual(self.r.lrange("to", 0, -1), ["a", "b", "c", "d"])

    def test_scripts_in_pipelines_and_transactions(self):
        take = self.r.register_script(TAKE)
        for transaction in (True, False):
            self.r.delete("from", "to")
            with self.r.pipeline(transaction=transaction) as pipe:
                pipe.rpush("from", "a", "b", "c")
                take(keys=["from", "to"], args=[2], client=pipe)
                pipe.llen("to")
                take(keys=["from", "to"], args=[2], client=pipe)
                self.assertEqual(pipe.execute(), [3, ["a", "b"], 2, ["c"]])
            self.r.script_flush()

    def test_a_script_under_watch_aborts_when_its_key_changed(self):
        take = self.r.register_script(TAKE)
        self.r.rpush("from", "a", "b")
        with self.r.pipeline() as pipe:
            pipe.watch("from")
            take(keys=["from", "to"], args=[1], client=self.r)
            pipe.multi()
            pipe.rpush("from", "late")
            with self.assertRaises(redis.WatchError):
                pipe.execute()
        self.assertEqual(self.r.lrange("from", 0, -1), ["b"])

    def test_replies_of_scripts_become_the_clients_types(self):
        evaluate = lambda script, *args: self.r.eval(script, 0, *args)
        self.assertEqual(evaluate("return {1, 'two', {3, false}, 4.9, true, nil, 'unseen'}"), [1, "two", [3, None], 4, 1])
        self.assertEqual(evaluate("return tostring(3.5)"), "3.5")
        self.assertEqual(evaluate("return redis.status_reply('FINE')"), "FINE")
        self.assertEqual(evaluate("return #ARGV .. ARGV[1]", "x", "y"), "2x")
        self.assertEqual(evaluate("return cjson.encode({a = {1, 2}})"), '{"a":[1,2]}')
        self.assertEqual(evaluate("return cmsgpack.unpack(cmsgpack.pack({1, 'x'}))"), [1, "x"])
        self.assertEqual(evaluate("return bit.tohex((struct.unpack('>I4', struct.pack('>I4', 255))))"), "000000ff")
        text = "redis.setresp(3) redis.call('HSET', 'h', 'f', 'v') return redis.call('HGETALL', 'h')"
        self.assertEqual(evaluate(text), {"f": "v"} if self.protocol == 3 else ["f", "v"])
        binary = bytes(range(256))
        raw = self.connect(decode_responses=False)
        self.assertEqual(raw.eval("return ARGV[1]", 0, binary), binary)

    def test_errors_of_scripts_become_the_clients_exceptions(self):
        with self.assertRaisesRegex(ResponseError, "^MINE of my own"):
            self.r.eval("return redis.error_reply('MINE of my own')", 0)
        with self.assertRaisesRegex(ResponseError, "Error compiling script"):
            self.r.eval("return (", 0)
        self.r.set("text", "x")
        with self.assertRaisesRegex(ResponseError, r"WRONGTYPE.* script: [0-9a-f]{40}, on @user_script:2\."):
            self.r.eval("redis.call('SET', KEYS[1], 'y')\nreturn redis.call('LPUSH', KEYS[2], 'y')", 2, "k", "text")
        self.assertEqual(self.r.get("k"), "y")
        caught = "local r = redis.pcall('LPUSH', KEYS[1], 'y') return {r.err ~= nil, r.err}"
        self.assertEqual(self.r.eval(caught, 1, "text")[0], 1)
        with self.assertRaises(NoScriptError):
            self.r.evalsha("f" * 40, 0)
        with self.assertRaisesRegex(ResponseError, "Write commands are not allowed"):
            self.r.eval_ro("return redis.call('SET', KEYS[1], 'x')", 1, "k")

    def test_a_script_that_pushes_wakes_who_waits(self):
        waiting = Background(lambda: self.connect().blpop(["a", "b"], timeout=PATIENCE_S))
        until(lambda: self.r.info("clients")["blocked_clients"] == 1, "a blocked client")
        # What it leaves when it ends counts, not what the list had in between.
        self.r.eval("redis.call('RPUSH', KEYS[1], 'x', 'y') redis.call('LPUSH', KEYS[1], 'first')", 1, "b")
        self.assertEqual(list(waiting.result()), ["b", "first"])
        self.assertEqual(self.r.lrange("b", 0, -1), ["x", "y"])

    def test_a_script_that_runs_too_long_is_killed_and_others_are_told(self):
        before = self.r.config_get("busy-reply-threshold")["busy-reply-threshold"]
        self.r.config_set("busy-reply-threshold", 50)
        self.addCleanup(lambda: self.r.config_set("busy-reply-threshold", before))
        other = self.connect()
        busy = Background(lambda: self.connect().eval("redis.call('GET', KEYS[1]) while true do end", 1, "k"))

        def told():
            try:
                other.get("k")
            except redis.exceptions.ResponseError as error:
                return "BUSY" in str(error)

        until(told, "word that a script is busy")
        self.assertTrue(other.script_kill())
        with self.assertRaisesRegex(ResponseError, "Script killed by user"):
            busy.result()
        until(lambda: not told(), "the end of the script")

    # -- functions ------------------------------------------------------------------------------

    def test_functions_are_loaded_called_listed_and_deleted(self):
        self.assertEqual(self.r.function_load(LIBRARY), "counting")
        with self.assertRaisesRegex(ResponseError, "already exists"):
            self.r.function_load(LIBRARY)
        self.assertEqual(self.r.function_load(LIBRARY, replace=True), "counting")
        self.assertEqual(self.r.fcall("add", 1, "n", 40), 40)
        self.assertEqual(self.r.fcall("add", 1, "n", 2), 42)
        self.assertEqual(self.r.fcall_ro("read", 1, "n"), "42")
        with self.assertRaisesRegex((ResponseError, ReadOnlyError), "write flag"):
            self.r.fcall_ro("add", 1, "n", 1)
        [library] = self.r.function_list(library="count*", withcode=True)
        if self.protocol == 2:
            library = dict(zip(library[::2], library[1::2]))
        self.assertEqual((library["library_name"], library["engine"]), ("counting", "LUA"))
        self.assertEqual(library["library_code"], LIBRARY)
        self.assertEqual(len(library["functions"]), 2)
        self.r.function_delete("counting")
        with self.assertRaisesRegex(ResponseError, "Function not found"):
            self.r.fcall("add", 1, "n", 1)

    def test_functions_are_dumped_and_restored(self):
        raw = self.connect(decode_responses=False)
        self.r.function_load(LIBRARY)
        dump = raw.function_dump()
        with self.assertRaises(ResponseError):
            raw.function_restore(dump)
        raw.function_restore(dump, "REPLACE")
        self.r.function_flush()
        raw.function_restore(dump, "APPEND")
        self.assertEqual(self.r.fcall("add", 1, "n", 7), 7)

    def test_functions_in_pipelines(self):
        self.r.function_load(LIBRARY)
        with self.r.pipeline() as pipe:
            pipe.fcall("add", 1, "n", 1)
            pipe.fcall("add", 1, "n", 2)
            pipe.fcall_ro("read", 1, "n")
            self.assertEqual(pipe.execute(), [1, 3, "3"])

    def test_many_clients_call_at_once(self):
        self.r.function_load(LIBRARY)
        take = self.r.register_script(TAKE)
        self.r.rpush("from", *range(200))
        start = threading.Barrier(4)

        def work():
            client = self.connect()
            start.wait(PATIENCE_S)
            taken = []
            while one := take(keys=["from", "to"], args=[3], client=client):
                taken += one
                client.fcall("add", 1, "n", len(one))
            return taken

        results = [one.result() for one in [Background(work) for _ in range(4)]]
        self.assertEqual(sorted(int(n) for each in results for n in each), list(range(200)))
        self.assertEqual(self.r.get("n"), "200")


class Resp2(Suite, unittest.TestCase):
    protocol = 2


class Resp3(Suite, unittest.TestCase):
    protocol = 3


if __name__ == "__main__":
    unittest.main()
