#!/usr/bin/env bash
# All tests, as the README promises: on a Debian machine with a Rust toolchain, git and root it installs what the tests use,
# checks the format, builds without LTO, runs every test and checks the lints beside them. Whatever is missing fails; nothing is skipped.
#
# usage: scripts/test.sh [words for cargo test]
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'scripts/test.sh: %s\n' "$*" >&2; exit 1; }

# Packages of the distribution, only those that are missing.
install_system_packages() {
  local wanted=()
  command -v cc >/dev/null || wanted+=(gcc libc6-dev)
  command -v make >/dev/null || wanted+=(make)
  command -v redis-server >/dev/null || wanted+=(redis-server)
  { command -v redis-cli && command -v redis-benchmark; } >/dev/null || wanted+=(redis-tools)
  command -v curl >/dev/null || wanted+=(curl)
  command -v python3 >/dev/null || wanted+=(python3)
  python3 -c 'import venv, ensurepip' 2>/dev/null || wanted+=(python3-venv)
  command -v node >/dev/null || wanted+=(nodejs)
  command -v npm >/dev/null || wanted+=(npm)
  # Debian's own Sidekiq (about 8 MB with Ruby).
  ruby -e 'require "sidekiq"; require "minitest"' 2>/dev/null || wanted+=(ruby ruby-minitest ruby-sidekiq)
  [ ${#wanted[@]} -eq 0 ] && return
  say "installing ${wanted[*]}"
  local as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  # The package would start a server of its own on 6379: it must not be there when millrace wants the port.
  local had_server=yes
  command -v redis-server >/dev/null || had_server=no
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}"
  if [ "$had_server" = no ]; then
    if [ -d /run/systemd/system ]; then
      "${as_root[@]}" systemctl disable --now redis-server
    else
      "${as_root[@]}" service redis-server stop || true # not running: nothing to stop
    fi
  fi
}

# promtool, which checks the metrics: taken out of its package (19 MB to fetch, 48 MB on disk) without installing that, since
# the package would bring a server of its own, fonts and scripts for browsers.
fetch_promtool() {
  local tools=$PWD/target/tools
  { command -v promtool || [ -x "$tools/promtool" ]; } >/dev/null && return
  say "fetching promtool"
  local scratch
  scratch=$(mktemp -d)
  mkdir -p "$tools"
  (
    cd "$scratch"
    apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; }
    dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool
    mv usr/bin/promtool "$tools/"
  )
  rm -r "$scratch"
  "$tools/promtool" --version >/dev/null || fail "promtool does not run"
}

# Pinned Python packages in an environment, again only when the pins or the interpreter have changed.
install_python() { # DIRECTORY REQUIREMENTS IMPORTS
  local directory=$1 requirements=$2 imports=$3 stamp
  stamp=$({ python3 -VV; cat "$requirements"; } | sha256sum)
  if [ "$(cat "$directory/installed" 2>/dev/null)" != "$stamp" ]; then
    say "installing the Python packages of $requirements"
    rm -rf "$directory"
    python3 -m venv "$directory"
    "$directory/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
    printf '%s\n' "$stamp" >"$directory/installed"
  fi
  "$directory/bin/python" -c "import $imports" || fail "$imports: not in $directory"
}

install_python_clients() {
  install_python .venv tests/clients/requirements.txt redis,celery,channels_redis,dramatiq,huey,rq,taskiq_redis
  install_python .venv-arq tests/clients/requirements-arq.txt arq
}

# The pinned Node clients, by the lock file.
install_node_clients() {
  local stamp modules=tests/clients/node_modules
  stamp=$({ node --version; cat tests/clients/package-lock.json; } | sha256sum)
  if [ "$(cat "$modules/.installed" 2>/dev/null)" != "$stamp" ]; then
    say "installing the Node clients"
    (cd tests/clients && npm ci --no-audit --no-fund --loglevel=error)
    printf '%s\n' "$stamp" >"$modules/.installed"
  fi
  (cd tests/clients && node -e 'for (const name of ["ioredis", "redis", "@keyv/redis", "connect-redis", "bullmq", "bull", "redlock", "redlock-4"]) require.resolve(name)') || fail "the Node clients are not installed"
}

# The tests open many sockets at once: a shell's usual 1024 are too few for ten thousand connections.
raise_file_limit() {
  local hard
  hard=$(ulimit -Hn)
  if [ "$hard" = unlimited ] || [ "$hard" -gt 65536 ]; then hard=65536; fi
  ulimit -Sn "$hard"
}

command -v cargo >/dev/null || fail "cargo is missing: install a Rust toolchain"
install_system_packages
fetch_promtool
install_python_clients
install_node_clients
for tool in cc make redis-server redis-cli redis-benchmark node; do
  command -v "$tool" >/dev/null || fail "$tool is missing"
done
raise_file_limit

say "format"
cargo fmt --check
say "tests, and lints beside them"
# Many tests wait for servers, clients and timers: more of them at once than there are cores, and time left for the lints.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$(($(nproc) * 2))}
# With the benchmark: one build of everything, its few crates and its own tests on top.
whole=(--profile fast --features bench)
found=$(mktemp)
tests='' lints=''
stop() {
  local group
  for group in $tests $lints; do kill -- "-$group" 2>/dev/null || true; done
  rm -f "$found"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
# Each in a process group of its own, which ends with this script.
set -m
cargo test "${whole[@]}" --no-fail-fast "$@" </dev/null &
tests=$!
# They come first to cargo's lock, and give it back when all is built; the other way round they would only wait.
sleep 2
nice cargo clippy "${whole[@]}" --all-targets -- -D warnings >"$found" 2>&1 &
lints=$!
failed=()
wait "$tests" || failed+=(tests)
wait "$lints" || failed+=(lints)
say "lints"
case ${failed[*]} in *lints*) cat "$found" >&2 ;; *) tail -n 1 "$found" ;; esac
[ ${#failed[@]} -eq 0 ] || fail "failed: ${failed[*]}"
