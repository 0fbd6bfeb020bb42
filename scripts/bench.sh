#!/usr/bin/env bash
# Compares Millrace, redis-server and others in turns within one run: CPU for each command, throughput, latency, memory.
# Builds what it measures as it is released, installs redis-server where it is missing, and passes the words on.
#
# usage: scripts/bench.sh [--quick] [--workload SUBSTRING] [--servers LIST] [--server NAME=COMMAND] …     --help tells all
#
# Tables go to standard output, a CSV and pictures to target/bench/ (--out DIR).
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'scripts/bench.sh: %s\n' "$*" >&2; exit 1; }
command -v cargo >/dev/null || fail "cargo is missing: install a Rust toolchain"
if ! command -v redis-server >/dev/null; then
  as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq >&2
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server >&2
  # The package starts a server of its own, which would be measured along with the others' cores.
  if [ -d /run/systemd/system ]; then
    "${as_root[@]}" systemctl disable --now redis-server >&2
  else
    "${as_root[@]}" service redis-server stop >&2 || true # not running: nothing to stop
  fi
fi
cargo build --quiet --release --features bench --bins
exec "${CARGO_TARGET_DIR:-target}/release/millrace-bench" "$@"
