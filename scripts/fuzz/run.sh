#!/usr/bin/env bash
# Fuzzes every target, or those named, for a while: scripts/fuzz/run.sh [seconds per target] [target ...]
# Needs a nightly toolchain (rustup) and a C++ compiler; installs cargo-fuzz when it is missing.
# Fails when a target finds something, or when the canary, which must fail, does not.
set -euo pipefail
cd "$(dirname "$0")"
seconds="${1:-60}"

rustup toolchain list | grep -q nightly || rustup toolchain install nightly --profile minimal
cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz

targets="${*:2}"
targets="${targets:-$(sed -n 's/^name = "\([a-z_]*\)"$/\1/p' Cargo.toml)}"
# An input has a few KB: what asks for more memory at once than this trusts a number in it.
options=(-max_total_time="$seconds" -print_final_stats=0 -malloc_limit_mb=64)
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
    cargo +nightly fuzz run --fuzz-dir . "$target" -- "${options[@]}"
    echo "$target: nothing found in $seconds s"
done
