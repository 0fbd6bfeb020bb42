"""What the workers of the frameworks run: RQ imports it by name, and not from the script that was started."""


def add(first, second):
    return first + second


def fail():
    raise ValueError("on purpose")
