#!/bin/sh
# Installs missing packages of the distribution. Each argument is COMMAND:PACKAGE, or FILE:PACKAGE for a package without
# a command. Does nothing if everything is present.
set -eu

missing=""
for pair in "$@"; do
  wanted=${pair%%:*}
  command -v "$wanted" >/dev/null 2>&1 || [ -e "$wanted" ] || missing="$missing ${pair#*:}"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
  echo "These packages are missing:$missing. Install them with this distribution's package manager, then run make again." >&2
  exit 1
fi
echo "Installing$missing (once) …"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # a list of packages
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
  cat "$log" >&2
  echo "apt-get could not install$missing; its output is above." >&2
  exit 1
fi
