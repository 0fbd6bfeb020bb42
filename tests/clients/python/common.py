"""What every Python suite needs: where the server is, and a clean keyspace before each test."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from urllib.parse import urlsplit

import redis

URL = os.environ["MILLRACE_URL"]
# The same server for who may do everything there: to clean up, look on and change settings. A suite may run as a user with few
# rights.
CONTROL_URL = os.environ.get("MILLRACE_CONTROL_URL", URL)
# Whether URL is of such a user. What it may is in tests/clients/users.rs.
RESTRICTED = CONTROL_URL != URL

# How long a test waits for something that should happen at once. Reached only when it does not happen.
PATIENCE_S = 20


def database(number):
    """URL with the number of a database in its path."""
    return urlsplit(URL)._replace(path=f"/{number}").geturl()


def until(condition, what):
    """Waits until `condition()` is true and returns its value; fails after PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE_S} s in vain for: {what}")
        time.sleep(0.005)


class Background:
    """Runs `work` in a thread; `result()` joins it and returns or raises what it did."""

    def __init__(self, work):
        self._value = None
        self._error = None
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work):
        try:
            self._value = work()
        except BaseException as error:  # handed to the thread that asks for the result
            self._error = error

    def result(self):
        self._thread.join(PATIENCE_S)
        if self._thread.is_alive():
            raise AssertionError(f"a call did not return within {PATIENCE_S} s")
        if self._error is not None:
            raise self._error
        return self._value


class FrameworkTest(unittest.TestCase):
    """A clean keyspace before each test, a client with the framework's rights, and one to look at the keys."""

    def setUp(self):
        self.client = redis.Redis.from_url(URL)
        self.addCleanup(self.client.close)
        self.control = redis.Redis.from_url(CONTROL_URL)
        self.addCleanup(self.control.close)
        self.control.flushall()


class Process:
    """A worker as a process of its own, in a group of its own, which is killed after the test; what it printed is shown."""

    def __init__(self, test, arguments, **environment):
        self._output = tempfile.TemporaryFile()
        self._child = subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.pid = self._child.pid
        # A class of tests may share a process.
        (test.addClassCleanup if isinstance(test, type) else test.addCleanup)(self._clean_up, test)

    def end(self, how):
        """Sends the signal to the process and waits until it has ended."""
        self._child.send_signal(how)
        return self._child.wait(PATIENCE_S)

    def _clean_up(self, test):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._child.wait()
        self._output.seek(0)
        printed = self._output.read().decode(errors="replace")
        if printed:
            print(f"{' '.join(self._child.args)} printed:\n{printed}", file=sys.stderr)
        self._output.close()
