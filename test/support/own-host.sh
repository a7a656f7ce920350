#!/bin/sh
# Stands in for Node. An integration test or a benchmark gets a host of its own:
# processes, network, mounts, /run and Docker's directories are private to it and vanish with it.
set -eu
case "$*" in
  --inside\ *) shift ;;
  */integration/* | */browser/* | */bench/* | */chaos/* | */fuzz/* | */console-pictures.ts\ *) exec unshare --net --mount --pid --fork --kill-child --mount-proc -- "$0" --inside "$@" ;;
  *) exec "$TEST_NODE" "$@" ;;
esac
mount --make-rshared /
mount -t tmpfs tmpfs /run
for directory in /var/lib/docker /var/lib/containerd; do
  mkdir -p "$directory"
  mount -t tmpfs tmpfs "$directory"
done
ip link set lo up
# The address of EC2's metadata service: here it is the test's own, and nothing sent to it leaves this host.
ip address add 169.254.169.254/32 dev lo
export TEST_OWN_HOST=yes
# Not exec: this shell is process 1 here, and collects what is orphaned.
"$TEST_NODE" "$@"
