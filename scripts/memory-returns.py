#!/usr/bin/env python3
"""Whether memory goes back to the system: fills a server with a million of something, ends it, and looks at what stays resident.

usage: memory-returns.py MILLRACE [kind ...]      SHARDS=2: how many shards; kinds: the functions below, all by default

Prints a line for each kind: resident memory before, at the peak and after, and how long it took until no more was resident than 1.3
times of before (10 s at most). Each kind has a server of its own. Ends with 1 if one of them did not come back.
"""

import os
import resource
import socket
import subprocess
import sys
import tempfile
import time

MILLION = 1_000_000
ALLOWED = 1.3
PATIENCE_S = 10


class Client:
    """A connection that sends many commands at once."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.left = b""

    def send(self, *words):
        self.socket.sendall(encoded(words))

    def call(self, *words):
        self.send(*words)
        return self.reply()

    def run(self, commands, at_once=1000):
        """Runs commands in pipelines; each has one reply."""
        batch = []
        for words in commands:
            batch.append(encoded(words))
            if len(batch) == at_once:
                self.flush(batch)
        self.flush(batch)

    def flush(self, batch):
        self.socket.sendall(b"".join(batch))
        for _ in batch:
            self.reply()
        batch.clear()

    def line(self):
        while b"\r\n" not in self.left:
            self.more()
        line, self.left = self.left.split(b"\r\n", 1)
        return line

    def more(self):
        data = self.socket.recv(1 << 18)
        if not data:
            raise EOFError("the server has closed the connection")
        self.left += data

    def reply(self):
        line = self.line()
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b"$" and rest != b"-1":
            count = int(rest)
            while len(self.left) < count + 2:
                self.more()
            data, self.left = self.left[:count], self.left[count + 2 :]
            return data
        if kind in b"*>%":
            return [self.reply() for _ in range(int(rest) * (2 if kind == b"%" else 1))]
        return rest

    def close(self):
        self.socket.close()


def encoded(words):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    parts = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
    return b"*%d\r\n" % len(words) + parts


def resident_mb(process):
    with open(f"/proc/{process.pid}/status") as status:
        line = next(line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


# Each kind fills the server and gives what ends it.


def subscriptions(connect):
    clients = [connect() for _ in range(10)]
    for n, client in enumerate(clients):
        client.run(("SUBSCRIBE", f"channel:{n}:{k}") for k in range(MILLION // 10))
    return lambda: [client.close() for client in clients]


def patterns(connect):
    clients = [connect() for _ in range(10)]
    for n, client in enumerate(clients):
        client.run(("PSUBSCRIBE", f"pattern:{n}:{k}:*") for k in range(MILLION // 10))
    return lambda: [client.close() for client in clients]


def watched_keys(connect):
    clients = [connect() for _ in range(10)]
    for n, client in enumerate(clients):
        keys = range(0, MILLION // 10, 100)
        client.run(("WATCH", *(f"watched:key:{n}:{k + j}" for j in range(100))) for k in keys)
    return lambda: [client.close() for client in clients]


def waits(connect):
    clients = [connect() for _ in range(1000)]
    for n, client in enumerate(clients):
        client.send("BLPOP", *(f"wait:{n}:{k}" for k in range(1000)), 0)
    control = connect()
    while b"blocked_clients:1000\r\n" not in control.call("INFO", "clients"):
        time.sleep(0.1)
    return lambda: [client.close() for client in clients]


def inputs(connect):
    clients = [connect() for _ in range(200)]
    for client in clients:
        client.socket.sendall(b"*2\r\n$1000001\r\n" + b"x" * MILLION)
    time.sleep(1)
    return lambda: [client.close() for client in clients]


def outputs(connect):
    control = connect()
    clients = [connect() for _ in range(150)]
    for client in clients:
        client.send("ECHO", b"x" * MILLION)
    control.call("PING")
    time.sleep(1)
    return lambda: [client.close() for client in clients]


def transactions(connect):
    clients = [connect() for _ in range(10)]
    for client in clients:
        client.call("MULTI")
        client.run(("SET", "key", "v" * 100) for _ in range(MILLION // 10))
    return lambda: [client.close() for client in clients]


def queues(connect):
    client = connect()
    client.run(("RPUSH", f"queue:{k}", "job" * 5) for k in range(MILLION))
    return lambda: client.run(("LPOP", f"queue:{k}") for k in range(MILLION))


def expiries(connect):
    client = connect()
    client.run(("SET", f"key:{k}", "x" * 20, "EX", 100000) for k in range(MILLION))
    return lambda: client.run(("DEL", f"key:{k}") for k in range(MILLION))


def streams(connect):
    client = connect()
    client.run(("XADD", f"stream:{k % 1000}", "*", "field", "v" * 100) for k in range(MILLION))
    return lambda: client.call("FLUSHALL")


def scripts(connect):
    client = connect()
    padding = "x" * 300
    client.run(("SCRIPT", "LOAD", f"return {k} -- {padding}") for k in range(300_000))
    return lambda: client.call("SCRIPT", "FLUSH")


KINDS = [subscriptions, patterns, watched_keys, waits, inputs, outputs, transactions, queues, expiries, streams, scripts]


def measure(binary, kind):
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/socket"
        options = ["--port", "0", "--unixsocket", path, "--dir", directory, "--save", ""]
        options += ["--shards", os.environ.get("SHARDS", "2"), "--loglevel", "warning"]
        process = subprocess.Popen([binary, *options])
        try:
            while not os.path.exists(path):
                time.sleep(0.05)
            Client(path).call("PING")
            time.sleep(1.5)
            before = resident_mb(process)
            end = kind(lambda: Client(path))
            peak = resident_mb(process)
            end()
            ended = time.monotonic()
            while True:
                after, elapsed = resident_mb(process), time.monotonic() - ended
                if after <= ALLOWED * before or elapsed > PATIENCE_S:
                    break
                time.sleep(0.1)
        finally:
            process.kill()
            process.wait()
    is_back = after <= ALLOWED * before
    came = f"back in {elapsed:.1f} s" if is_back else "NOT BACK"
    sizes = f"before {before:6.1f} MB  peak {peak:6.1f} MB  after {after:6.1f} MB  {after / before:.2f}"
    print(f"{kind.__name__:14} {sizes}  {came}", flush=True)
    return is_back


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    resource.setrlimit(resource.RLIMIT_NOFILE, (20_000, 20_000))
    wanted = [kind for kind in KINDS if len(sys.argv) == 2 or kind.__name__ in sys.argv[2:]]
    results = [measure(sys.argv[1], kind) for kind in wanted]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
