#!/bin/sh
# systemd runs this each time the service has ended, whatever the cause. During a hand-over to another version, this runs
# the program of the version that hands over, because the new program may not be able to run at all.
program=/opt/ecs-host-service/ecs-host-service
if grep -qs '"isReplaced":true' /run/ecs-host-service/hand-over.json && [ -x "$program.previous" ]; then
  program=$program.previous
fi
# systemd gives credentials only to the main process.
CREDENTIALS_DIRECTORY=/etc/ecs-host-service/credentials exec "$program" bury --wait-unit ecs-host-service-wait.service
