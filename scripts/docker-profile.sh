#!/bin/sh
# Prints Docker's default seccomp profile from Docker's source. The script unpacks the source package without installing it,
# because an installation would pull in about a hundred other packages.
set -eu

package=golang-github-docker-docker-dev
profile=usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json

for command in apt-get dpkg-deb; do
  command -v "$command" >/dev/null 2>&1 && continue
  echo "The build needs $command to unpack Docker's seccomp profile from the package $package, but it is not installed." >&2
  echo "Copy profiles/seccomp/default.json from Docker's source to build/docker-seccomp.json, then run make again." >&2
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
