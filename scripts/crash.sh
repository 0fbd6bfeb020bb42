#!/usr/bin/env bash
# Proof by crash: many writers, SIGKILL at random moments, and after each start a comparison of everything that is there with
# everything that was acknowledged (tests/crash.rs). The directory and its data are carried on from round to round.
#
# usage: scripts/crash.sh [--rounds N] [--seconds S] [--seed X] [--mode always|everysec|no|rdb|all] [--shards N] [--points]
#                         [--loads-in-redis] [--server millrace|redis] [--keep] [--profile NAME]
#   --rounds N        rounds of each mode; with --points, visits of each            default 100; 1
#   --seconds S       the longest that a round writes                                      default 2
#   --seed X          where random choices begin              default: the second of the day
#   --mode MODE       how the server writes: a log with this appendfsync, or snapshots alone  default all, one after the other
#   --shards N        always so many                          default: changes from start to start
#   --points          brings the server to each named point instead, where it kills itself: once, and N-1 times later on
#   --loads-in-redis  millrace writes what redis-server 7.0 reads, and that loads a copy every five rounds
#   --server redis    redis-server in the place of millrace: tests the harness
#   --keep            keeps the directory of a failed run and prints its name
#   --profile NAME    how the server is built                 default fast; release takes minutes to build
# Exit code 0: nothing acknowledged was lost, nothing was there twice, no transaction by half.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'scripts/crash.sh: %s\n' "$*" >&2; exit 2; }
rounds='' seconds=2 mode=all shards='' points=no profile=fast
seed=$(($(date +%-H) * 3600 + $(date +%-M) * 60 + $(date +%-S)))
while [ $# -gt 0 ]; do
  case $1 in
    --help) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    --points) points=yes; shift; continue ;;
    --loads-in-redis) export MILLRACE_CRASH_LOADS_IN_REDIS=1; shift; continue ;;
    --keep) export MILLRACE_CRASH_KEEP=1; shift; continue ;;
  esac
  [ $# -ge 2 ] || fail "$1 needs a value (--help tells)"
  case $1 in
    --rounds) rounds=$2 ;;
    --seconds) seconds=$2 ;;
    --seed) seed=$2 ;;
    --mode) mode=$2 ;;
    --shards) shards=$2 ;;
    --server) export SERVER=$2 ;;
    --profile) profile=$2 ;;
    *) fail "no option $1 (--help tells)" ;;
  esac
  shift 2
done
[ -n "$rounds" ] || { [ "$points" = yes ] && rounds=1 || rounds=100; }
for number in "$rounds" "$seed" "${shards:-1}"; do
  [[ $number =~ ^[0-9]+$ ]] || fail "'$number' is not a number"
done
[[ $seconds =~ ^[0-9]+(\.[0-9]+)?$ ]] || fail "'$seconds' is not a number"
[[ $mode =~ ^(always|everysec|no|rdb|all)$ ]] || fail "no mode $mode (--help tells)"
modes=$mode
[ "$mode" != all ] || modes='always everysec no rdb'

export MILLRACE_SEED=$seed MILLRACE_CRASH_ROUNDS=$rounds MILLRACE_CRASH_SECONDS=$seconds MILLRACE_CRASH_SHARDS=$shards
run() { cargo test --profile "$profile" --test crash -- --exact --nocapture "$1"; }
if [ "$points" = yes ]; then
  [ "$mode" = all ] || export MILLRACE_CRASH_MODE=$mode
  export MILLRACE_CRASH_VISITS=$rounds
  run every_named_point_can_be_died_at
  exit
fi
for each in $modes; do
  printf 'scripts/crash.sh: %s, %s rounds of at most %s s, seed %s\n' "$each" "$rounds" "$seconds" "$seed"
  MILLRACE_CRASH_MODE=$each run as_many_rounds_as_asked_for
done
