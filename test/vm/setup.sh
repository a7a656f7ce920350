#!/bin/sh
# Installs the service in the guest from its tarball, as a person installs it on an AMI.
set -eu
[ ! -e /opt/ecs-host-service ] || exit 0
mkdir /root/tarball
tar --extract --file /project/ecs-host-service.tar.gz --directory /root/tarball --strip-components=1
/root/tarball/install.sh
# The tests start the service themselves.
systemctl disable --quiet ecs-host-service.service
# The tests simulate the outside world, which must outlive the service when the guest is shut down.
drop_ins=/etc/systemd/system/ecs-host-service.service.d
printf '[Unit]\nAfter=guest.service\n' > $drop_ins/guest.conf
# Work that takes milliseconds elsewhere, such as the first TLS handshake, blocks an emulated processor for seconds.
printf '[Service]\nWatchdogSec=30\n' > $drop_ins/watchdog.conf
systemctl daemon-reload
