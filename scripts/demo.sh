#!/bin/sh
# Shows a queue that survives the death of a worker (see `millrace demo --help`).
#
#   scripts/demo.sh                               starts a millrace of its own
#   scripts/demo.sh --shards 8 --rate 5000
#   scripts/demo.sh --url redis://127.0.0.1:6379  uses a server that runs already
#
# MILLRACE names another executable than the one that cargo builds here.
set -eu

here=$(dirname "$0")/..
if [ -z "${MILLRACE:-}" ]; then
    cargo build --quiet --release --manifest-path "$here/Cargo.toml"
    MILLRACE=${CARGO_TARGET_DIR:-$here/target}/release/millrace
fi
exec "$MILLRACE" demo "$@"
