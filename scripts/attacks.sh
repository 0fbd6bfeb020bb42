#!/usr/bin/env bash
# What was tried against the server, at full size: the cases of tests/attacks.rs, each against redis-server and millrace with 1 and
# 4 shards in turn, with a client beside it that means no harm. Prints a table: time, processor time, memory at the start, at the
# peak and after, the latencies of that client, a verdict. Takes about an hour; the machine should do nothing else.
#
# usage: scripts/attacks.sh [--only TEXT] [--over WAY] [--seconds N] [--short] [--shards 1,4] [--oracle PATH] [--profile NAME]
#   --only TEXT      the cases with this in their name, as in --only flood, --only 'stop under'
#   --over WAY       how they come: plain, tls, or user (logged in as a user with few rights)   default plain
#   --seconds N      how long an attack goes on that has no end of its own       default 8
#   --short          as the test suite runs them: small, and no latency is judged
#   --shards LIST    shard counts to run with                                    default 1,4
#   --oracle PATH    the server to compare with                                  default: redis-server from PATH
#   --profile NAME   how the server is built                                     default fast; release takes minutes to build
# Exit code 0: every case holds.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'scripts/attacks.sh: %s\n' "$*" >&2; exit 2; }
profile=fast only='' seconds='' over=plain
export MILLRACE_ATTACKS=full
while [ $# -gt 0 ]; do
  case $1 in
    --help) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    --short) MILLRACE_ATTACKS=short; shift; continue ;;
  esac
  [ $# -ge 2 ] || fail "$1 needs a value (--help tells)"
  case $1 in
    --only) only=$2 ;;
    --over) over=$2 ;;
    --seconds) seconds=$2 ;;
    --shards) export MILLRACE_SHARDS=$2 ;;
    --oracle) export MILLRACE_ORACLE=$2 ;;
    --profile) profile=$2 ;;
    *) fail "no option $1 (--help tells)" ;;
  esac
  shift 2
done
[ -z "$seconds" ] || [[ $seconds =~ ^[0-9]+(\.[0-9]+)?$ ]] || fail "'$seconds' is not a number"
case $over in plain | tls | user) ;; *) fail "no way $over: plain, tls or user" ;; esac
oracle=${MILLRACE_ORACLE:-redis-server}
command -v "$oracle" >/dev/null || fail "no oracle: $oracle is missing (scripts/test.sh installs redis-server)"
[ "$(ulimit -n)" -ge 20000 ] || ulimit -n 20000 || fail "20000 open files are needed: raise the hard limit (ulimit -Hn)"

export MILLRACE_ATTACKS_ONLY=$only MILLRACE_ATTACKS_SECONDS=$seconds MILLRACE_ATTACKS_OVER=$over
# One test after the other: two attacks at once would measure each other.
exec cargo test --profile "$profile" --test attacks -- --test-threads 1 --nocapture
