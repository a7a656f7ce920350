#!/bin/sh
# packages.sh DIRECTORY makes an apt repository in DIRECTORY with the Debian packages that a virtual machine may lack. It
# downloads them from this machine's own sources, and caches them outside the checkout.
set -eu

directory=$1
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/ecs-host-service/seed-packages
wanted="docker.io iptables apparmor ca-certificates nftables unattended-upgrades systemd-timesyncd logrotate openssh-server sudo zstd lz4 kmod procps dbus"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$cache/partial" "$directory"
exec 9> "$cache/lock.seed"
flock 9
# apt-get resolves dependencies as for a machine without any package.
touch "$work/status"
mkdir -p "$work/none/partial"
# get ARCHIVES OPTION
get() {
  # shellcheck disable=SC2086 # a list of packages
  apt-get -q -o Dir::State::status="$work/status" -o Dir::Cache::archives="$1" -o Debug::NoLocking=true \
    -o APT::Sandbox::User=root -o APT::Install-Recommends=false install --yes "$2" $wanted
}
get "$cache" --download-only > "$work/log" 2>&1 || {
  cat "$work/log" >&2
  echo "apt-get could not download the packages for virtual machines; its output is above." >&2
  exit 1
}
# Without a cache, apt-get lists all packages.
get "$work/none" --print-uris | sed -n "s/^'[^']*' \([^ ]*\) .*/\1/p" > "$work/names"
: > "$work/Packages"
while read -r name; do
  cp "$cache/$name" "$directory/$name"
  dpkg-deb --field "$cache/$name" >> "$work/Packages"
  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$name" "$(stat -c %s "$cache/$name")" \
    "$(sha256sum < "$cache/$name" | cut -d ' ' -f 1)" >> "$work/Packages"
done < "$work/names"
mv "$work/Packages" "$directory/Packages"
# The packages work only on this release.
sed -n 's/^VERSION_CODENAME=//p' /etc/os-release > "$directory/RELEASE"
