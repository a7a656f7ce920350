#!/bin/sh
# Puts the service onto the guest, as it is put onto an AMI.
set -eu
packaging=/project/packaging
[ ! -e /opt/ecs-host-service ] || exit 0
mkdir -p /opt /etc/ecs-host-service
ln -s /project/service /opt/ecs-host-service
cp $packaging/*.rules /etc/udev/rules.d/
cp $packaging/60-ecs-host-service.conf /etc/sysctl.d/
mkdir -p /etc/systemd/system.conf.d
cp $packaging/system.conf /etc/systemd/system.conf.d/ecs-host-service.conf
cp $packaging/modules-load.conf /etc/modules-load.d/ecs-host-service.conf
cp $packaging/*.service /etc/systemd/system/
# Asked to restart by a keyboard that is a container's.
systemctl mask --quiet ctrl-alt-del.target
# The world that the tests are to the service outlives it when the guest is shut down.
mkdir -p /etc/systemd/system/ecs-host-service.service.d
printf '[Unit]\nAfter=guest.service\n' > /etc/systemd/system/ecs-host-service.service.d/guest.conf
# What takes milliseconds elsewhere, such as the first TLS, blocks an emulated processor for seconds.
printf '[Service]\nWatchdogSec=30\n' > /etc/systemd/system/ecs-host-service.service.d/watchdog.conf
systemctl daemon-reexec
udevadm control --reload
systemctl restart systemd-sysctl systemd-modules-load
