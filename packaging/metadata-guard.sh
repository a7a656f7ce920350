#!/bin/sh
# Keeps containers from the addresses at which EC2 and ECS give a host's credentials away: `metadata-guard.sh on`, or `off`.
# Docker asks the chain DOCKER-USER first about all that containers send, and leaves to others what is in it.
set -eu

# What ECS means for a task reaches it all the same: the agent's rules redirect that to the host itself before.
guard() {
  iptables=$1 act=$2
  shift 2
  # 1: there is no such chain.
  "$iptables" --wait 10 --numeric --list DOCKER-USER > /dev/null 2>&1 || {
    [ $? != 1 ] || return 0
    echo "$iptables cannot say what is in DOCKER-USER, so containers may reach the credentials of this host" >&2
    exit 1
  }
  for address in "$@"; do
    if [ "$act" = off ]; then
      "$iptables" --wait 10 --delete DOCKER-USER --destination "$address" --jump DROP || true
    elif ! "$iptables" --wait 10 --check DOCKER-USER --destination "$address" --jump DROP 2> /dev/null; then
      "$iptables" --wait 10 --insert DOCKER-USER --destination "$address" --jump DROP
    fi
  done
}

# What the service itself keeps the user of host shells from: it puts these rules up, with each shell.
drop_owner_rules() {
  for iptables in iptables ip6tables; do
    "$iptables" --wait 10 --table raw --list-rules OUTPUT 2> /dev/null | sed -n 's/^-A \(.*--uid-owner .* -j DROP\)$/\1/p' |
      while read -r rule; do
        # shellcheck disable=SC2086 # its words
        "$iptables" --wait 10 --table raw --delete $rule
      done
  done
}

case "$*" in
  on | off) ;;
  *) echo "usage: metadata-guard.sh on|off" >&2 && exit 2 ;;
esac
[ "$1" = on ] || drop_owner_rules
guard iptables "$1" 169.254.169.254 169.254.170.2
# Docker guards IPv6 only where it was told to.
! command -v ip6tables > /dev/null || guard ip6tables "$1" fd00:ec2::254
