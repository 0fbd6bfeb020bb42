#!/usr/bin/env bash
# Fuzzes every target for a while: scripts/fuzz/run.sh [seconds per target]
# Needs a nightly toolchain (rustup) and a C++ compiler; installs cargo-fuzz when it is missing.
# Fails when a target finds something, or when the canary, which must fail, does not.
set -euo pipefail
cd "$(dirname "$0")"
seconds="${1:-60}"

rustup toolchain list | grep -q nightly || rustup toolchain install nightly --profile minimal
cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz

targets=$(sed -n 's/^name = "\([a-z_]*\)"$/\1/p' Cargo.toml)
for target in $targets; do
    if [ "$target" = canary ]; then
        if cargo +nightly fuzz run --fuzz-dir . canary -- -max_total_time="$seconds" -print_final_stats=0 >canary.log 2>&1; then
            echo "the canary did not fail: nothing found here means anything" >&2
            exit 1
        fi
        grep -q "the canary sings" canary.log || { tail -n 40 canary.log >&2; exit 1; }
        rm -rf canary.log artifacts/canary
        echo "canary: fails, as it must"
        continue
    fi
    cargo +nightly fuzz run --fuzz-dir . "$target" -- -max_total_time="$seconds" -print_final_stats=0
    echo "$target: nothing found in $seconds s"
done
