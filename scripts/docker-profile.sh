#!/bin/sh
# Prints Docker's default seccomp profile from Docker's source. The source package is unpacked and not installed,
# because it would bring about a hundred others.
set -eu

package=golang-github-docker-docker-dev
profile=usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json

for command in apt-get dpkg-deb; do
  command -v "$command" >/dev/null 2>&1 && continue
  echo "Docker's own seccomp profile is taken out of the package $package, and $command, which does it, is missing." >&2
  echo "Put profiles/seccomp/default.json of Docker's source at build/docker-seccomp.json, then run make again." >&2
  exit 1
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
# If the package lists are missing or old, the first download fails.
if ! { apt-get download -qq "$package" || { apt-get update -qq && apt-get download -qq "$package"; }; } >log 2>&1; then
  cat log >&2
  echo "apt-get could not download $package; its output is above." >&2
  exit 1
fi
dpkg-deb --fsys-tarfile ./*.deb >files.tar
tar --extract --to-stdout --file files.tar "./$profile"
