#!/usr/bin/env bash
# Looks at the crates this is built from: known holes, licences, where they come from.
#
# usage: scripts/audit.sh [--offline]
#   --offline   with the list of holes that is there already, or without one
# Installs cargo-deny when it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny
if [ "${1:-}" = --offline ]; then
  if [ -d "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs" ]; then
    cargo deny --offline --config scripts/deny.toml check
  else
    echo "no list of holes on this machine: licences and sources only" >&2
    cargo deny --offline --config scripts/deny.toml check bans licenses sources
  fi
else
  cargo deny --config scripts/deny.toml check
fi
