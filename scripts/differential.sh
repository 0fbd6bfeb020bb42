#!/usr/bin/env bash
# A long comparison with an oracle: the searches of tests/oracle.rs (one connection, every command; scripts) and tests/multi.rs
# (eight connections: blocking, MULTI, publish/subscribe …), with more commands, other seeds, and the oracle of your choice.
#
# usage: scripts/differential.sh [--commands N] [--scripts N] [--steps N] [--minutes M] [--oracle PATH] [--shards 1,4]
#                                [--seed N] [--differences N]
#   --commands N     commands on one connection, over all shard counts; 0: none            default 1000000
#   --scripts N      scripts on one connection, over all shard counts; 0: none             default 40000
#   --steps N        steps with eight connections, over all shard counts; 0: none          default 200000
#   --minutes M      again and again, each time with fresh seeds, until M minutes are over
#   --oracle PATH    the server to compare with          default: redis-server from PATH; 7.2 or newer finds most
#   --shards LIST    shard counts to run with                                              default 1,4
#   --seed N         where the seeds begin                                                 default 1000 times the minute of the day
#   --differences N  how many differences to collect before it gives up                    default 3
# Exit code 0: no difference. A difference is printed with the fewest steps that make it, and the seed that replays it.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'scripts/differential.sh: %s\n' "$*" >&2; exit 2; }
commands=1000000 scripts=40000 steps=200000 minutes=0 differences=3
seed=$(($(date +%-H) * 60000 + $(date +%-M) * 1000 + 1))
while [ $# -gt 0 ]; do
  [ "$1" != --help ] || { sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0; }
  [ $# -ge 2 ] || fail "$1 needs a value (--help tells)"
  case $1 in
    --commands) commands=$2 ;;
    --scripts) scripts=$2 ;;
    --steps) steps=$2 ;;
    --minutes) minutes=$2 ;;
    --oracle) export MILLRACE_ORACLE=$2 ;;
    --shards) export MILLRACE_SHARDS=$2 ;;
    --seed) seed=$2 ;;
    --differences) differences=$2 ;;
    *) fail "no option $1 (--help tells)" ;;
  esac
  shift 2
done
for number in "$commands" "$scripts" "$steps" "$minutes" "$seed" "$differences"; do
  [[ $number =~ ^[0-9]+$ ]] || fail "'$number' is not a number"
done
oracle=${MILLRACE_ORACLE:-redis-server}
command -v "$oracle" >/dev/null || fail "no oracle: $oracle is missing (scripts/test.sh installs redis-server)"

export MILLRACE_COMMANDS=$commands MILLRACE_SCRIPTS=$scripts MILLRACE_STEPS=$steps MILLRACE_DIFFERENCES=$differences
tests=()
[ $((commands + scripts)) -eq 0 ] || tests+=(--test oracle)
[ "$steps" -eq 0 ] || tests+=(--test multi)
[ ${#tests[@]} -gt 0 ] || fail "nothing to do: --commands 0, --scripts 0 and --steps 0"

until=$((SECONDS + 60 * minutes))
while :; do
  printf 'scripts/differential.sh: %s; %s commands, %s scripts and %s steps, seeds from %s\n' \
    "$("$oracle" --version | cut -d' ' -f1-3)" "$commands" "$scripts" "$steps" "$seed"
  MILLRACE_SEED_FIRST=$seed cargo test --profile fast --no-fail-fast "${tests[@]}"
  [ "$SECONDS" -lt "$until" ] || break
  seed=$((seed + 100000))
done
