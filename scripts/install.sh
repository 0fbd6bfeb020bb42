#!/usr/bin/env bash
# Installs what `cargo build --release` has built: program, manual pages, completions, systemd units, a user and a configuration
# for the server. Run again after an upgrade: it replaces the program and the units and leaves the configuration alone.
#
# usage: sudo scripts/install.sh
#
# DESTDIR: install below this folder instead, without user and systemd (for packages). MILLRACE: the program to install.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'scripts/install.sh: %s\n' "$*" >&2; exit 1; }
[ "${1:-}" != --help ] || { sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0; }
[ $# -eq 0 ] || fail "takes no arguments, and '$1' is one; DESTDIR=folder installs below a folder"
root=${DESTDIR:-}
program=${MILLRACE:-${CARGO_TARGET_DIR:-target}/release/millrace}
[ -x "$program" ] || fail "$program is missing: run cargo build --release first"
[ -n "$root" ] || [ "$(id -u)" -eq 0 ] || fail "needs root: sudo scripts/install.sh"

put() { install -D -m "$1" "$2" "$root$3"; }
made() { install -D -m 644 /dev/stdin "$root$1"; }

put 755 "$program" /usr/local/bin/millrace
"$program" man | made /usr/local/share/man/man1/millrace.1
for page in reclaim import demo ping check completions; do
  "$program" man "$page" | made "/usr/local/share/man/man1/millrace-$page.1"
done
"$program" completions bash | made /usr/local/share/bash-completion/completions/millrace
"$program" completions zsh | made /usr/local/share/zsh/site-functions/_millrace
"$program" completions fish | made /usr/local/share/fish/vendor_completions.d/millrace.fish
for unit in millrace.service millrace-reclaim.service millrace-reclaim.timer; do
  put 644 "scripts/$unit" "/etc/systemd/system/$unit"
done

install -d -m 750 "$root/etc/millrace"
[ -e "$root/etc/millrace/millrace.conf" ] || put 640 scripts/millrace.conf /etc/millrace/millrace.conf
[ -e "$root/etc/millrace/reclaim.env" ] || put 600 scripts/reclaim.env /etc/millrace/reclaim.env
if [ -z "$root" ]; then
  getent passwd millrace >/dev/null ||
    useradd --system --user-group --home-dir /var/lib/millrace --no-create-home --shell /usr/sbin/nologin millrace
  chgrp millrace /etc/millrace /etc/millrace/millrace.conf
  if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
  fi
fi

cat <<'END'
Installed /usr/local/bin/millrace, its manual (man millrace), completions and systemd units.
  settings   /etc/millrace/millrace.conf
  start      systemctl enable --now millrace
  upgrade    systemctl restart millrace      (it saves first; the data is in /var/lib/millrace)
END
