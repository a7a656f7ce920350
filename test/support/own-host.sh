#!/bin/sh
# A stand-in for Node that gives an integration test or a benchmark its own host: processes, network, mounts, /run and
# Docker's directories are private to it and disappear with it.
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
# The address of EC2's metadata service. Here it belongs to the test, and nothing that is sent to it leaves this host.
ip address add 169.254.169.254/32 dev lo
export TEST_OWN_HOST=yes
# This shell must stay, without exec, because it is process 1 here and reaps orphans.
"$TEST_NODE" "$@"
