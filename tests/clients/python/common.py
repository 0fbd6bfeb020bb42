"""What every Python suite needs: where the server is, and a clean keyspace before each test."""

import os
import threading
import time

URL = os.environ["MILLRACE_URL"]

# How long a test waits for something that should happen at once. Reached only when it does not happen.
PATIENCE_S = 20


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
