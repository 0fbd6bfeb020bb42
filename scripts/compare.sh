#!/usr/bin/env bash
# CPU per command of two servers at equal work: redis-benchmark drives them in turns, workload by workload and round by round,
# so that a noisy machine disturbs both alike. What is measured is the server's own time (user + system, /proc/PID/stat), not the
# throughput, which on a small machine is mostly that of the load generator.
#
# usage: [REQUESTS=500000] [ROUNDS=3] [SHARDS=1] [CLIENTS=50] [PIPELINE=16] [BYTES=100] [KEYS=1]
#        [MILLRACE=target/release/millrace] [OTHER=redis-server] scripts/compare.sh [workload ...]
# workloads: ping set get lpush rpop lrange xadd xadd-maxlen      default: all
#
# Prints a table: µs of CPU per command, the median of the rounds, and the ratio millrace / other.
# A workload that redis-benchmark reports an error for stops the script.
set -euo pipefail
cd "$(dirname "$0")/.."

requests=${REQUESTS:-500000} rounds=${ROUNDS:-3} shards=${SHARDS:-1}
clients=${CLIENTS:-50} pipeline=${PIPELINE:-16} bytes=${BYTES:-100} keys=${KEYS:-1}
millrace=${MILLRACE:-target/release/millrace} other=${OTHER:-redis-server}
workloads=("$@")
[ ${#workloads[@]} -gt 0 ] || workloads=(ping set get lpush rpop lrange xadd xadd-maxlen)

fail() { printf 'scripts/compare.sh: %s\n' "$*" >&2; exit 1; }
for tool in redis-benchmark redis-cli "$millrace" "$other"; do
  command -v "$tool" >/dev/null || fail "$tool is missing (scripts/test.sh installs the tools, cargo build --release builds millrace)"
done
millrace=$(command -v "$millrace") other=$(command -v "$other")
case $millrace in /*) ;; *) millrace=$PWD/$millrace ;; esac

work=$(mktemp -d)
pids=()
cleanup() {
  [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

# start NAME PROGRAM [options]: sets pid_of[NAME] and port_of[NAME]
declare -A pid_of port_of
next_port=$((20000 + RANDOM % 20000))
start() {
  local name=$1 attempt pid
  shift
  mkdir -p "$work/$name"
  for attempt in 1 2 3 4 5; do
    next_port=$((next_port + 1))
    (cd "$work/$name" && exec "$@" --port "$next_port" --bind 127.0.0.1 --save "" --dir "$work/$name") \
      >"$work/$name/log" 2>&1 &
    pid=$!
    for _ in $(seq 200); do
      kill -0 "$pid" 2>/dev/null || break
      if [ "$(redis-cli -p "$next_port" INFO server 2>/dev/null | tr -d '\r' | sed -n 's/^process_id://p')" = "$pid" ]; then
        pids+=("$pid") pid_of[$name]=$pid port_of[$name]=$next_port
        return
      fi
      sleep 0.05
    done
    kill "$pid" 2>/dev/null || true
  done
  cat "$work/$name/log" >&2
  fail "$name did not start"
}

# CPU of a process so far, in ticks. The name in the second field may hold blanks: count from behind its parenthesis.
ticks() { sed 's/^.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; }

# load NAME COUNT words...: redis-benchmark against a server; anything but clean output is an error.
load() {
  local name=$1 count=$2
  shift 2
  local random=()
  [ "$keys" -le 1 ] || random=(-r "$keys")
  redis-benchmark -p "${port_of[$name]}" -q -n "$count" -c "$clients" -P "$pipeline" -d "$bytes" "${random[@]}" "$@" \
    >"$work/benchmark" 2>&1 || { cat "$work/benchmark" >&2; fail "redis-benchmark $* against $name failed"; }
  if grep -iE 'error|WRONGTYPE|warning' "$work/benchmark" | grep -v 'Could not fetch server CONFIG' >&2; then
    fail "redis-benchmark $* against $name is not clean"
  fi
}

value=$(printf '%*s' "$bytes" '' | tr ' ' x)

# run WORKLOAD NAME: prints µs per command
run() {
  local workload=$1 name=$2 count=$requests words before after
  case $workload in
    ping) words=(PING) ;;
    set) words=(-t set) ;;
    get) words=(-t get) ;;
    lpush) words=(-t lpush) ;;
    rpop) words=(-t rpop) ;;
    lrange) words=(LRANGE compare:list 0 99) count=$((requests / 20)) ;;
    xadd) words=(XADD compare:stream '*' f "$value") ;;
    xadd-maxlen) words=(XADD compare:capped MAXLEN '~' 1000 '*' f "$value") ;;
    *) fail "no workload $workload" ;;
  esac
  # What must be there before: the same for both servers, and not measured.
  case $workload in
    get) load "$name" 1000 -t set ;;
    lpush | xadd) redis-cli -p "${port_of[$name]}" DEL mylist compare:stream >/dev/null ;;
    rpop) redis-cli -p "${port_of[$name]}" DEL mylist >/dev/null; load "$name" "$count" -t lpush ;;
    lrange)
      redis-cli -p "${port_of[$name]}" DEL compare:list >/dev/null
      for _ in $(seq 100); do printf 'RPUSH compare:list %s\n' "$value"; done | redis-cli -p "${port_of[$name]}" >/dev/null
      ;;
  esac
  before=$(ticks "${pid_of[$name]}")
  load "$name" "$count" "${words[@]}"
  after=$(ticks "${pid_of[$name]}")
  awk -v t=$((after - before)) -v hz="$(getconf CLK_TCK)" -v n="$count" 'BEGIN { printf "%.3f\n", t / hz * 1e6 / n }'
}

median() { sort -n | awk '{ v[NR] = $1 } END { printf "%.3f", (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

start millrace "$millrace" --shards "$shards"
start other "$other"

printf 'millrace --shards %s against %s; %s requests, %s clients, pipeline %s, %s-byte values, median of %s rounds\n' \
  "$shards" "$(basename "$other") $(redis-cli -p "${port_of[other]}" INFO server | tr -d '\r' | sed -n 's/^redis_version://p')" \
  "$requests" "$clients" "$pipeline" "$bytes" "$rounds"
printf '%-12s %12s %12s %8s\n' 'CPU µs each' millrace "$(basename "$other")" ratio
for workload in "${workloads[@]}"; do
  for round in $(seq "$rounds"); do
    # Who goes first alternates.
    turn=(millrace other)
    [ $((round % 2)) -eq 1 ] || turn=(other millrace)
    for name in "${turn[@]}"; do
      run "$workload" "$name" >>"$work/$workload.$name"
    done
  done
  ours=$(median <"$work/$workload.millrace")
  theirs=$(median <"$work/$workload.other")
  printf '%-12s %12s %12s %8s\n' "$workload" "$ours" "$theirs" \
    "$(awk -v a="$ours" -v b="$theirs" 'BEGIN { if (b > 0) printf "%.2f", a / b; else printf "-" }')"
done
