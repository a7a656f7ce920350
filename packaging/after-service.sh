#!/bin/sh
# Runs each time the service has ended, in whatever way. While a hand-over to another version is under way, the version
# that began it decides what becomes of it, because the new one may not be able to run at all.
program=/opt/ecs-host-service/ecs-host-service
if grep -qs '"isReplaced":true' /run/ecs-host-service/hand-over.json && [ -x "$program.previous" ]; then
  program=$program.previous
fi
# systemd gives credentials only to the main process.
CREDENTIALS_DIRECTORY=/etc/ecs-host-service/credentials exec "$program" bury --wait-unit ecs-host-service-wait.service
