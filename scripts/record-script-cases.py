#!/usr/bin/env python3
"""Records what servers answer to the script cases of tests/scripting/cases/*.txt, in place.

usage: scripts/record-script-cases.py --server PATH [--older PATH] [--check] [FILE...]
  --server PATH   the server whose behaviour is promised: a 7.2; its answers are the lines that begin with "= "
  --older PATH    a 7.0; where it answers otherwise a line "7.0 " follows   default: redis-server from PATH
  --check         change nothing, fail where a file would change
  FILE            the files to record                                       default: all of tests/scripting/cases

The head of tests/scripting.rs describes the format. The servers run on free ports in temporary directories; one that a script kills is
started again.
"""

import argparse
import glob
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
DIED = "(server died)"
CLOSED = "(connection closed)"
ESCAPES = {ord("\\"): "\\\\", ord("\r"): "\\r", ord("\n"): "\\x0a", ord("\t"): "\\t"}


class Died(Exception):
    """The server has ended."""


def escape(raw):
    """A raw reply as one line: \\n stands for CR LF, the last of which is left out."""
    if raw.endswith(b"\r\n"):
        raw = raw[:-2]
    lines = []
    for line in raw.split(b"\r\n"):
        lines.append("".join(ESCAPES.get(b) or (chr(b) if 32 <= b < 127 else f"\\x{b:02x}") for b in line))
    return "\\n".join(lines)


def words(line):
    """The words of a command: bare, or in double quotes with \\r \\n \\t \\" \\\\ \\xHH."""
    out, at = [], 0
    while at < len(line):
        if line[at] == " ":
            at += 1
        elif line[at] == '"':
            end = at + 1
            while line[end] != '"':
                end += 2 if line[end] == "\\" else 1
            text = line[at + 1 : end].encode()
            plain = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b'"': b'"', b"\\": b"\\"}
            one = lambda m: bytes([int(m[1][1:], 16)]) if m[1][:1] == b"x" else plain[m[1]]
            out.append(re.sub(rb"\\(x[0-9a-f]{2}|.)", one, text))
            at = end + 1
        else:
            end = (line + " ").index(" ", at)
            out.append(line[at:end].encode())
            at = end
    return out


def parse(raw, at):
    """A reply of arrays, integers and bulk strings, and where it ends."""
    head, after = raw[at + 1 : raw.index(b"\r\n", at)], raw.index(b"\r\n", at) + 2
    if raw[at : at + 1] == b"*":
        out = []
        for _ in range(int(head)):
            one, after = parse(raw, after)
            out.append(one)
        return out, after
    if raw[at : at + 1] == b"$":
        return raw[after : after + int(head)], after + int(head) + 2
    return head, after


class Connection:
    """One client that reads whole replies as they are."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.settimeout(5)
        self.input = b""

    def send(self, command):
        parts = [b"*%d\r\n" % len(command)]
        parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in command]
        self.socket.sendall(b"".join(parts))

    def fill(self):
        more = self.socket.recv(1 << 20)
        if not more:
            raise ConnectionError
        self.input += more

    def line(self, at):
        while (end := self.input.find(b"\r\n", at)) < 0:
            self.fill()
        return self.input[at:end], end + 2

    def end(self, at):
        head, after = self.line(at)
        kind, rest = head[:1], head[1:]
        if kind in b"$=!":
            if rest == b"-1":
                return after
            while len(self.input) < after + int(rest) + 2:
                self.fill()
            return after + int(rest) + 2
        if kind in b"*~>%|":
            count = int(rest) * (2 if kind in b"%|" else 1)
            for _ in range(max(count, 0)):
                after = self.end(after)
            return self.end(after) if kind == b"|" else after
        return after

    def reply(self):
        end = self.end(0)
        raw, self.input = self.input[:end], self.input[end:]
        return raw

    def call(self, *command):
        self.send([word if isinstance(word, bytes) else str(word).encode() for word in command])
        return self.reply()

    def text(self, *command):
        return self.call(*command).split(b"\r\n", 1)[1].decode("latin1")


class Server:
    """A server on a free port."""

    def __init__(self, path):
        self.path = shutil.which(path) or sys.exit(f"{path} is missing")
        self.child = None
        self.start()

    def start(self):
        self.directory = tempfile.TemporaryDirectory(prefix="millrace-cases-")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [self.path, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", self.directory.name, "--enable-debug-command", "yes"]
        self.child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(1000):
            try:
                if Connection(self.port).call("PING") == b"+PONG\r\n":
                    return
            except OSError:
                time.sleep(0.01)
        sys.exit(f"{self.path} does not start")

    def stop(self):
        self.child.kill()
        self.child.wait()
        self.directory.cleanup()

    def died(self):
        """Whether the connection's end was the server's end."""
        try:
            self.child.wait(3)
        except subprocess.TimeoutExpired:
            return False
        self.stop()
        self.start()
        return True


def fields(text, wanted):
    """Of an INFO text the wanted lines: `name`, or `name?` for whether the number is above 0."""
    have = dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)
    out = []
    for name in wanted:
        value = have.get(name.rstrip("?"), "(none)")
        if name.endswith("?"):
            value = "more than 0" if value.isdigit() and int(value) > 0 else value
        out.append(f"{name.rstrip('?')}:{re.sub('usec=[^,]*,usec_per_call=[^,]*,', '', value)}")
    return "\\n".join(out)


class Play:
    """One case on one server."""

    def __init__(self, server):
        self.server, self.connections = server, {}
        begin = Connection(server.port)
        for command in ("SCRIPT FLUSH", "FUNCTION FLUSH", "CONFIG SET slowlog-log-slower-than 10000", "FLUSHALL", "SLOWLOG RESET",
                        "CONFIG RESETSTAT"):
            assert begin.call(*command.split()) == b"+OK\r\n", command

    def on(self, name):
        if name not in self.connections:
            self.connections[name] = Connection(self.server.port)
        return self.connections[name]

    def step(self, line, block):
        """Runs a step; what is recorded of it, or None."""
        try:
            return self.run(line, block)
        except TimeoutError:
            sys.exit(f"no answer to {line}")
        except ConnectionError:
            return DIED if self.server.died() else CLOSED

    def run(self, line, block):
        one = lambda: self.on("1")
        if line == "eval" or line.startswith("eval "):
            return escape(one().call("EVAL", "\n".join([line[5:]] + block).encode(), 0))
        if line.startswith("info "):
            return fields(one().text("INFO", "everything"), line.split()[1:])
        if line == "slowlog":
            entries = parse(one().call("SLOWLOG", "GET"), 0)[0]
            return " ; ".join(" ".join(escape(word) for word in entry[3]) for entry in entries)
        if line.startswith("until "):
            _, name, value = line.split()
            for _ in range(2000):
                if f"{name}:{value}\r\n" in one().text("INFO", "everything"):
                    return None
                time.sleep(0.005)
            raise SystemExit(f"{line}: it does not come to that")
        match = re.fullmatch(r"(\d?)([>+!-])(?: (.*))?", line) or sys.exit(f"what is this: {line}")
        connection = self.on(match[1] or "1")
        if match[2] == "+":
            # A line of MONITOR without the time and the address.
            plain = lambda m: b"+TIME [%s %s]" % (m[1], m[2] or b"CLIENT")
            return escape(re.sub(rb"\+\d+\.\d+ \[(\d+) (?:\S+:\d+|(lua))\]", plain, connection.reply()))
        connection.send(["\n".join(block).encode() if word == b"<<" else word for word in words(match[3])])
        if match[2] == "-":
            return None
        reply = connection.reply()
        return escape(reply) if match[2] == ">" else None


def record(path, server, older):
    """The text of a file with the answers of both."""
    out = []
    with open(path, encoding="utf-8") as file:
        blocks = file.read().rstrip("\n").split("\n\n")
    for text in blocks:
        lines = [line for line in text.split("\n") if not line.startswith(("= ", "7.0 "))]
        plays = None
        at = 0
        while at < len(lines):
            line = lines[at]
            out.append(line)
            at += 1
            if line.startswith("#"):
                continue
            first = at
            while at < len(lines) and lines[at].startswith("|"):
                at += 1
            out += lines[first:at]
            plays = plays or [Play(each) for each in (server, older)]
            answers = [play.step(line, [part[2:] for part in lines[first:at]]) for play in plays]
            if answers[0] is not None:
                out.append("= " + answers[0])
            if answers[0] != answers[1]:
                out.append("7.0 " + answers[1])
        out.append("")
    return "\n".join(out)


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    parser.add_argument("--server", required=True)
    parser.add_argument("--older", default="redis-server")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    files = options.files or sorted(glob.glob(os.path.join(HERE, "../tests/scripting/cases/*.txt")))
    server, older = Server(options.server), Server(options.older)
    changed = []
    try:
        for path in files:
            text = record(path, server, older)
            with open(path, encoding="utf-8") as file:
                if file.read() == text:
                    continue
            changed.append(path)
            if not options.check:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
    finally:
        server.stop()
        older.stop()
    print("changed:", " ".join(changed) or "nothing")
    sys.exit(1 if options.check and changed else 0)


if __name__ == "__main__":
    main()
