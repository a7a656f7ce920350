#!/bin/sh
# Puts Debian's packages that a virtual machine may lack into DIRECTORY, as a repository for apt: packages.sh DIRECTORY.
# They come from where this machine's own packages come from, and stay in a cache outside the checkout. Packages that
# every Debian has are left out.
set -eu

directory=$1
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/ecs-host-service/seed-packages
wanted="docker.io iptables apparmor ca-certificates nftables unattended-upgrades systemd-timesyncd logrotate openssh-server sudo zstd lz4 kmod procps dbus"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$cache/partial" "$directory"
exec 9> "$cache/lock.seed"
flock 9
# As for a machine that has nothing yet.
touch "$work/status"
mkdir -p "$work/none/partial"
# get ARCHIVES OPTION
get() {
  # shellcheck disable=SC2086 # they are several
  apt-get -q -o Dir::State::status="$work/status" -o Dir::Cache::archives="$1" -o Debug::NoLocking=true \
    -o APT::Sandbox::User=root -o APT::Install-Recommends=false install --yes "$2" $wanted
}
get "$cache" --download-only > "$work/log" 2>&1 || {
  cat "$work/log" >&2
  echo "The packages for virtual machines could not be fetched; apt-get's output is above." >&2
  exit 1
}
# apt-get names only what it has not got.
get "$work/none" --print-uris | sed -n "s/^'[^']*' \([^ ]*\) .*/\1/p" > "$work/names"
: > "$work/Packages"
while read -r name; do
  priority=$(dpkg-deb --field "$cache/$name" Priority)
  [ "$priority" != required ] || continue
  cp "$cache/$name" "$directory/$name"
  dpkg-deb --field "$cache/$name" >> "$work/Packages"
  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$name" "$(stat -c %s "$cache/$name")" \
    "$(sha256sum < "$cache/$name" | cut -d ' ' -f 1)" >> "$work/Packages"
done < "$work/names"
mv "$work/Packages" "$directory/Packages"
# They fit this release alone.
sed -n 's/^VERSION_CODENAME=//p' /etc/os-release > "$directory/RELEASE"
