#!/usr/bin/env bash
# The unit tests of the pure structures (src/data, src/resp) under Miri: undefined behaviour, out-of-bounds access and leaks.
# Millrace has no unsafe code of its own, so what Miri can find here is in the dependencies these structures stand on (hashbrown, bytes,
# smallvec) and how they are used. It needs a nightly toolchain with the components miri and rust-src; without, it fails and says so.
#
# usage: scripts/miri.sh [test filter ...]     default: data:: resp::
set -euo pipefail
cd "$(dirname "$0")/.."

toolchain=${MIRI_TOOLCHAIN:-nightly}
if ! cargo "+$toolchain" miri --version >/dev/null 2>&1; then
  echo "scripts/miri.sh: no Miri in toolchain $toolchain: rustup toolchain install $toolchain --component miri,rust-src" >&2
  exit 1
fi
filters=("$@")
[ ${#filters[@]} -gt 0 ] || filters=(data:: resp::)

# Property tests run a few cases only (Miri is some hundred times slower) and write no failure files; isolation is off
# because proptest reads these variables and a seed from the host.
export PROPTEST_CASES=${PROPTEST_CASES:-4}
export PROPTEST_DISABLE_FAILURE_PERSISTENCE=true
export MIRIFLAGS=${MIRIFLAGS:--Zmiri-disable-isolation}
exec cargo "+$toolchain" miri test --lib -- "${filters[@]}"
