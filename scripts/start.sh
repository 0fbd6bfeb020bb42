#!/usr/bin/env bash
# How long Millrace and redis-server take to start on the same data: a log of many commands, and a dump of many entries.
# redis-server writes both; each round starts the servers in turns on copies of them. Told are the best of all rounds.
#
# usage: scripts/start.sh [--commands N] [--entries N] [--shards "1 2"] [--rounds N] [--keep DIR]
#
# --commands, --entries  how many the log and the dump have (default 5,000,000 each)
# --keep DIR             the files are made there, or used when they are there already
# MILLRACE               the server to measure; without it, it is built as it is released
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'scripts/start.sh: %s\n' "$*" >&2; exit 1; }
commands=5000000 entries=5000000 shards="1 2" rounds=5 keep=
while [ $# -gt 0 ]; do
  case $1 in
    --commands) commands=$2 ;; --entries) entries=$2 ;; --shards) shards=$2 ;; --rounds) rounds=$2 ;; --keep) keep=$2 ;;
    *) fail "unknown word $1: see the head of this file" ;;
  esac
  shift 2
done
for tool in redis-server redis-cli awk; do command -v $tool >/dev/null || fail "$tool is missing"; done
if [ -z "${MILLRACE:-}" ]; then
  cargo build --quiet --release --bin millrace
  MILLRACE=${CARGO_TARGET_DIR:-target}/release/millrace
fi
MILLRACE=$(realpath "$MILLRACE")
work=$(mktemp -d) pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$work"' EXIT
keep=${keep:-$work}
mkdir -p "$keep"

# Commands in RESP, a mix of what brokers do (kind=log) or new keys of all types (kind=rdb).
generate() {
  awk -v kind="$1" -v count="$2" '
    function put(text) { line = line "$" length(text) "\r\n" text "\r\n"; words++ }
    function end() { printf "*%d\r\n%s", words, line; line = ""; words = 0 }
    function log_command(n, r, x) {
      x = n % 5
      if (x == 0) { put("SET"); put("key:" r); put("v" n fill) }
      else if (x == 1) { put("LPUSH"); put("queue:" r % 1000); put("job" n fill) }
      else if (x == 2) { put("XADD"); put("stream:" r % 100); put("*"); put("field"); put("v" n fill) }
      else if (x == 3) { put("HSET"); put("hash:" r % 20000); put("f" r % 37); put("v" n) }
      else { put("ZADD"); put("zset:" r % 2000); put(r); put("m" r % 5003) }
      end()
    }
    function new_key(n, x) {
      x = n % 10
      if (x < 5) { put("SET"); put("key:" n); put("v" n fill); if (x == 4) { put("EX"); put(1000000 + n) } }
      else if (x == 5) { put("HSET"); put("hash:" n); put("name"); put("n" n); put("age"); put(n % 90); put("mail"); put("x" n "@example.org") }
      else if (x == 6) { put("RPUSH"); put("list:" n); put("a" n); put("b" n); put("c" n) }
      else if (x == 7) { put("SADD"); put("set:" n); put("a" n); put("b" n); put("c") }
      else if (x == 8) { put("ZADD"); put("zset:" n); put(n); put("a" n); put("1.5"); put("b") }
      else { put("XADD"); put("stream:" n); put("*"); put("field"); put("v" n) }
      end()
    }
    BEGIN {
      srand(7); fill = "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwx"
      for (n = 0; n < count; n++) if (kind == "log") log_command(n, int(rand() * 1000000)); else new_key(n)
    }'
}

port() { shuf -i 20000-30000 -n 1; }

# prepare KIND COUNT: lets redis-server write the files.
prepare() {
  local at=$keep/$1-$2 port; port=$(port)
  [ -e "$at/whole" ] && return
  rm -rf "$at"; mkdir -p "$at"
  local log=no; [ "$1" = log ] && log=yes
  redis-server --port "$port" --dir "$at" --appendonly $log --appendfsync no --save '' --auto-aof-rewrite-percentage 0 >/dev/null &
  pid=$!
  until redis-cli -p "$port" ping >/dev/null 2>&1; do sleep 0.1; done
  generate "$1" "$2" | redis-cli -p "$port" --pipe >/dev/null
  [ "$1" = log ] || redis-cli -p "$port" save >/dev/null
  kill "$pid"; wait "$pid" || true; pid=
  touch "$at/whole"
}

# start NAME KIND COMMAND …: starts a server on a copy of the files; adds a line `name kind seconds cpu` to the figures.
start() {
  local name=$1 kind=$2 files=$3 at=$work/run; shift 3
  rm -rf "$at"; cp -r "$files" "$at"
  : >"$work/said" # what the server before has said
  local log=no; [ "$kind" = log ] && log=yes
  "$@" --port "$(port)" --dir "$at" --appendonly $log --save '' >"$work/said" 2>&1 &
  pid=$!
  local told='DB loaded from (disk|append only file): [0-9.]+'
  until grep -qE "$told" "$work/said"; do
    kill -0 "$pid" 2>/dev/null || fail "$name ended: $(tail -3 "$work/said")"
    sleep 0.05
  done
  local seconds cpu
  seconds=$(grep -oE "$told" "$work/said" | grep -oE '[0-9.]+$')
  cpu=$(awk -v hz="$(getconf CLK_TCK)" '{ print ($14 + $15) / hz }' "/proc/$pid/stat")
  kill "$pid"; wait "$pid" || true; pid=
  echo "$name $kind $seconds $cpu" >>"$work/figures"
}

prepare log "$commands"
prepare rdb "$entries"
for ((round = 0; round < rounds; round++)); do
  for kind in log rdb; do
    files=$keep/$kind-$([ $kind = log ] && echo "$commands" || echo "$entries")
    start redis-server $kind "$files" redis-server
    for count in $shards; do start "millrace--shards-$count" $kind "$files" "$MILLRACE" --shards "$count"; done
  done
done
awk '
  { at = $2 " " $1; if (!(at in best) || $3 < best[at]) best[at] = $3; if (!(at in cpu) || $4 < cpu[at]) cpu[at] = $4 }
  END {
    printf "%-28s %9s %9s %12s\n", "best of all rounds", "seconds", "CPU s", "redis / this"
    for (at in best) { split(at, part, " "); printf "%-28s %9.3f %9.2f %12.2f\n", at, best[at], cpu[at], best[part[1] " redis-server"] / best[at] | "sort" }
  }' "$work/figures"
