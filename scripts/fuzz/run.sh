#!/usr/bin/env bash
# Fuzzes every target, or those named, from the seeds in the tree and what earlier runs have found.
#
# usage: scripts/fuzz/run.sh [--nightly] [seconds per target] [target ...]
#   seconds      fixed time for each                                      default 60; with --nightly 3600
#   --nightly    all cores, and afterwards the corpus is cut down to what covers the same
# Needs a nightly toolchain (rustup) and a C++ compiler; installs cargo-fuzz when it is missing.
# Fails when a target finds something, or when the canary, which must fail, does not. What was found lies in artifacts/TARGET: copy it into
# seeds/TARGET, where `cargo test --test seeds` tries it without a fuzzer.
set -euo pipefail
cd "$(dirname "$0")"
seconds=60 nightly=
if [ "${1:-}" = --nightly ]; then
  nightly=yes seconds=3600
  shift
fi
if [[ "${1:-}" =~ ^[0-9]+$ ]]; then
  seconds=$1
  shift
fi

rustup toolchain list | grep -q nightly || rustup toolchain install nightly --profile minimal
cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz

targets="${*:-$(sed -n 's/^name = "\([a-z_]*\)"$/\1/p' Cargo.toml)}"
# An input has a few KB: what asks for more memory at once than this trusts a number in it.
options=(-max_total_time="$seconds" -print_final_stats=0 -malloc_limit_mb=64)
[ -z "$nightly" ] || options+=(-fork="$(nproc)")
for target in $targets; do
  if [ "$target" = canary ]; then
    if cargo +nightly fuzz run --fuzz-dir . canary -- "${options[@]}" >canary.log 2>&1; then
      echo "the canary did not fail: nothing found here means anything" >&2
      exit 1
    fi
    grep -q "the canary sings" canary.log || { tail -n 40 canary.log >&2; exit 1; }
    rm -rf canary.log artifacts/canary
    echo "canary: fails, as it must"
    continue
  fi
  mkdir -p "corpus/$target"
  cargo +nightly fuzz run --fuzz-dir . "$target" "corpus/$target" "seeds/$target" -- "${options[@]}"
  echo "$target: nothing found in $seconds s"
  [ -z "$nightly" ] || cargo +nightly fuzz cmin --fuzz-dir . "$target"
done
