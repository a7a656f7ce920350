#!/bin/sh
# `metadata-guard.sh on` keeps containers from the addresses at which EC2 and ECS serve the host's credentials. `off` undoes
# this. The rules are in the chain DOCKER-USER, which Docker consults first for all packets of containers, and never changes.
set -eu

fail() {
  echo "$*" >&2
  exit 1
}

# Tasks still get their own credentials from ECS, because the agent's rules redirect those requests to the host earlier.
guard() {
  iptables=$1 act=$2
  shift 2
  found=0
  "$iptables" --wait 10 --numeric --list DOCKER-USER > /dev/null 2>&1 || found=$?
  # 1 means that there is no such chain.
  [ "$found" -le 1 ] ||
    fail "$iptables cannot list the chain DOCKER-USER, so containers may be able to reach the credentials of this host"
  if [ "$found" = 1 ]; then
    [ "$act" = on ] || return 0
    fail "$iptables has no chain DOCKER-USER, so containers may be able to reach the credentials of this host. Docker creates" \
      "the chain when it starts: start Docker, and then this again. With \"iptables\": false in its settings, Docker does not" \
      "create the chain: remove that setting, or let your own firewall drop packets from containers to $*"
  fi
  for address in "$@"; do
    if [ "$act" = off ]; then
      "$iptables" --wait 10 --delete DOCKER-USER --destination "$address" --jump DROP || true
    elif ! "$iptables" --wait 10 --check DOCKER-USER --destination "$address" --jump DROP 2> /dev/null; then
      "$iptables" --wait 10 --insert DOCKER-USER --destination "$address" --jump DROP
    fi
  done
}

# Whether containers have IPv6. If that cannot be determined, assume that they have.
has_ipv6() {
  networks=$(docker network ls --quiet) || return 0
  # shellcheck disable=SC2086 # one word for each network
  found=$(docker network inspect --format '{{.EnableIPv6}}' $networks) || return 0
  case $found in *true*) return 0 ;; *) return 1 ;; esac
}

# Docker creates the IPv6 chain only if it is configured to. A network with IPv6 but without the chain would be unguarded, so
# that is an error.
guard6() {
  found=127
  ! command -v ip6tables > /dev/null || {
    found=0
    ip6tables --wait 10 --numeric --list DOCKER-USER > /dev/null 2>&1 || found=$?
  }
  if [ "$found" = 0 ] || { [ "$1" = on ] && has_ipv6; }; then guard ip6tables "$1" fd00:ec2::254; fi
}

# Removes the rules that the service adds for the user of host shells. The service adds them again with each shell.
drop_owner_rules() {
  for iptables in iptables ip6tables; do
    "$iptables" --wait 10 --table raw --list-rules OUTPUT 2> /dev/null | sed -n 's/^-A \(.*--uid-owner .* -j DROP\)$/\1/p' |
      while read -r rule; do
        # shellcheck disable=SC2086 # the words of a rule
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
guard6 "$1"
