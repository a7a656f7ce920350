#!/bin/bash
# A stand-in for systemctl on a machine without systemd. It knows one unit, ecs.service, whose agent is a process with the
# name that the real agent has in its image. The directory "unit" holds its state and records the requests.
set -eu
cd "$(dirname "$0")/unit"
echo "$*" >> calls
active() { echo "$1" > active; }
case "$1" in
  show)
    if [ -e show-fails ]; then echo "no bus" >&2; exit 1; fi
    echo "LoadState=$(cat load)"
    # The order matters: whoever changes both writes the status first.
    echo "ActiveState=$(cat active)"
    cat status 2> /dev/null || true
    echo "Job=$(cat job 2> /dev/null || echo 0)"
    echo "InvocationID=$(cat invocation 2> /dev/null)"
    echo "MainPID=$(cat main 2> /dev/null || echo 0)"
    ;;
  start)
    if [ -e start-fails ]; then echo "it is masked" >&2; exit 1; fi
    echo "$RANDOM$RANDOM" > invocation
    printf 'Result=success\nExecMainCode=0\nExecMainStatus=0\n' > status
    active active
    # If the settings name it twice, the last line counts.
    endpoint=$(grep '^DOCKER_HOST=' "$(cat settings)" | tail -1)
    # shellcheck disable=SC2163 # NAME=value
    (exec 0< /dev/null > /dev/null 2>&1; export "$endpoint"; exec -a /agent sleep 3600) &
    echo $! > agent
    ;;
  daemon-reload)
    if [ -e revive ]; then mkdir -p "$(dirname "$(cat revive)")" && touch "$(cat revive)"; fi
    ;;
  stop)
    if [ -e deaf ]; then exit 0; fi
    kill "$(cat agent)" 2> /dev/null || true
    active inactive
    ;;
  kill)
    rm -f deaf
    printf 'Result=signal\nExecMainCode=2\nExecMainStatus=9\n' > status
    active failed
    ;;
esac
