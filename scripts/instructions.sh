#!/usr/bin/env bash
# User-space instructions per command, as valgrind's callgrind counts them: nearly the same on a busy machine as on a quiet one, so it
# shows differences that times of a few percent cannot. One command at a time, one connection, one shard. Not counted is what a timer
# costs most: jemalloc's own counts, read ten times a second, of which more fall on each command the slower valgrind is.
#
# usage: scripts/instructions.sh [--server PATH] [--members N] [NAME …]
#   --server PATH   another server instead of this project's, started with "--port N --save '' --appendonly no"
#   --members N     size of the hash, set and sorted set that commands work on        default 100000
#   NAME            rows to count, by the name in the first column                    default all
# Needs valgrind and redis-benchmark. Prints one line for each row: name, instructions per command.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."

fail() { printf 'scripts/instructions.sh: %s\n' "$*" >&2; exit 2; }
server= members=100000 port=${MILLRACE_INSTRUCTIONS_PORT:-7391} commands=2000
names=()
while [ $# -gt 0 ]; do
  case $1 in
    --help) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    --server) server=${2:?--server needs a path}; shift 2 ;;
    --members) members=${2:?--members needs a number}; shift 2 ;;
    -*) fail "no option $1 (--help tells)" ;;
    *) names+=("$1"); shift ;;
  esac
done
for tool in valgrind callgrind_control redis-benchmark redis-cli; do
  command -v "$tool" >/dev/null || fail "$tool is missing"
done
arguments=(--port "$port" --save '' --appendonly no)
if [ -z "$server" ]; then
  cargo build --quiet --release --bin millrace
  server=target/release/millrace
  arguments+=(--shards 1)
fi

# name | command
rows=(
  "LPUSH|LPUSH queue 0123456789"
  "RPOP|RPOP queue"
  "HSET|HSET hash __rand_int__ 0123456789"
  "HGET|HGET hash __rand_int__"
  "HINCRBY|HINCRBY numbers __rand_int__ 1"
  "HGETALL-20|HGETALL twenty"
  "SADD|SADD set __rand_int__"
  "SISMEMBER|SISMEMBER set __rand_int__"
  "SPOP|SPOP set"
  "ZADD|ZADD sorted __rand_int__ member:__rand_int__"
  "ZRANGEBYSCORE-10|ZRANGEBYSCORE sorted __rand_int__ +inf LIMIT 0 10"
  "ZRANK|ZRANK sorted member:__rand_int__"
  "ZPOPMIN|ZPOPMIN sorted"
  "PFADD|PFADD sketch __rand_int__"
  "SETBIT|SETBIT bits 7000000 1"
)

scratch=$(mktemp -d)
pid=
finish() {
  [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
  rm -rf "$scratch"
}
trap finish EXIT

for name in ${names[@]+"${names[@]}"}; do
  printf '%s\n' "${rows[@]}" | grep -q "^$name|" || fail "no row $name: $(printf '%s ' "${rows[@]%%|*}")"
done
cli() { redis-cli -p "$port" "$@"; }
! cli PING >/dev/null 2>&1 || fail "something listens on port $port: set MILLRACE_INSTRUCTIONS_PORT"
valgrind --quiet --tool=callgrind --compress-strings=no --callgrind-out-file="$scratch/out" "$server" "${arguments[@]}" >"$scratch/log" 2>&1 &
pid=$!
for attempt in $(seq 300); do
  ! cli PING >/dev/null 2>&1 || break
  kill -0 "$pid" 2>/dev/null && [ "$attempt" -lt 300 ] || fail "the server did not start: $(tail -3 "$scratch/log")"
  sleep 0.2
done

# Members are numbered as redis-benchmark writes its random numbers, so that commands find them.
awk -v n="$members" 'BEGIN {
  for (i = 0; i < n; i++) {
    printf "HSET hash %012d 0123456789\r\n", i
    printf "HSET numbers %012d 7\r\n", i
    printf "LPUSH queue 0123456789\r\n"
    printf "SADD set %012d\r\n", i
    printf "ZADD sorted %012d member:%012d\r\n", i, i
  }
  for (i = 0; i < 20; i++) printf "HSET twenty field:%d 0123456789\r\n", i
}' | cli --pipe >/dev/null
# As dense as that of many elements.
cli PFADD sketch a >/dev/null
cli PFDEBUG TODENSE sketch >/dev/null

count_of() { # COMMANDS WORDS…: instructions of the server while so many run
  local count=$1
  shift
  callgrind_control --zero "$pid" >/dev/null 2>&1
  redis-benchmark -p "$port" -c 1 -n "$count" -r "$members" -q "$@" >"$scratch/said" 2>&1 || true
  ! grep -i error "$scratch/said" >&2 || fail "$*: refused"
  callgrind_control --dump "$pid" >/dev/null 2>&1
  local dump
  dump=$(ls -t "$scratch"/out.* | head -1)
  [ -s "$dump" ] || fail "callgrind wrote no counts"
  awk '
    /^(summary|totals):/ && !total { total = $2 }
    # Whatever the allocator is asked of itself, under whichever prefix its functions have.
    /^cfn=/ { is_timers = /mallctl(bymib)?$/ }
    /^calls=/ { getline; if (is_timers) timers += $2 }
    END { printf "%.0f\n", total - timers }' "$dump"
  rm -f "$scratch"/out.*
}

for row in "${rows[@]}"; do
  name=${row%%|*}
  read -ra words <<<"${row#*|}"
  if [ ${#names[@]} -gt 0 ] && [[ " ${names[*]} " != *" $name "* ]]; then
    continue
  fi
  # What a connection costs is in both, and so in neither.
  few=$(count_of 100 "${words[@]}")
  many=$(count_of $((100 + commands)) "${words[@]}")
  printf '%-18s %8d\n' "$name" $(((many - few) / commands))
done
