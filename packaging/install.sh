#!/bin/sh
# Installs ecs-host-service on this host, or upgrades it. Run it as root, from the unpacked tarball or from
# /opt/ecs-host-service:
#
#   install.sh [--force]             --force: install even if the host lacks something
#   install.sh uninstall [--purge]   --purge: also remove settings, secrets, receipts, logs and the host's id
#
# A running service is not affected: it continues with the files from which it was started. Running the script again
# does no harm. It is also how the service gets secrets that were put into /etc/ecs-host-service/credentials later.
# DESTDIR=… writes the files below a directory and does nothing else.
set -eu
umask 022

here=$(dirname "$(realpath "$0")")
root=${DESTDIR:-}
opt=/opt/ecs-host-service
settings=/etc/ecs-host-service
state=/var/lib/ecs-host-service
units=/etc/systemd/system
service=ecs-host-service.service
wait=ecs-host-service-wait.service
guard=ecs-host-service-metadata-guard.service
gettys="getty@.service autovt@.service"
profile=/etc/docker/ecs-host-service-seccomp.json
daemon=/etc/docker/daemon.json

say() { echo "$*" >&2; }
fail() {
  say "install.sh: $*"
  exit 1
}

# The targets of the files that do not stay in the program's directory: SOURCE TARGET.
places() {
  for unit in "$service" "$wait" "$guard"; do echo "$unit $units/$unit"; done
  for rules in 69-fractal-input.rules 90-fractal-input.rules; do echo "$rules /etc/udev/rules.d/$rules"; done
  echo "60-ecs-host-service.conf /etc/sysctl.d/60-ecs-host-service.conf"
  echo "modules-load.conf /etc/modules-load.d/ecs-host-service.conf"
  echo "logrotate.conf /etc/logrotate.d/ecs-host-service"
  echo "logind.conf /etc/systemd/logind.conf.d/ecs-host-service.conf"
  echo "system.conf /etc/systemd/system.conf.d/ecs-host-service.conf"
  echo "seccomp.json $profile"
  echo "completion.bash /usr/share/bash-completion/completions/ecs-host-service"
  echo "completion.zsh /usr/local/share/zsh/site-functions/_ecs-host-service"
}

# Replaces each file atomically, because the program may be running and other programs may be reading the other files.
put() {
  target=$root$2
  cmp -s "$1" "$target" && return 0
  mkdir -p "$(dirname "$target")"
  cp "$1" "$target.new"
  chmod "$3" "$target.new"
  mv -f "$target.new" "$target"
  say "  $2"
}

mode_of() { if [ -x "$1" ]; then echo 755; else echo 644; fi; }

# What runs is kept, for a new version that does not come up, and not what was installed since and has never run.
keep_previous() {
  program=$opt/ecs-host-service
  [ -z "$root" ] && [ -e "$program" ] || return 0
  ! cmp -s "$here/ecs-host-service" "$program" || return 0
  pid=$(systemctl show --property=MainPID --value "$service")
  [ "${pid:-0}" = 0 ] || [ "$(readlink "/proc/$pid/exe")" = "$program" ] || return 0
  ln -f "$program" "$program.previous"
}

put_files() {
  (cd "$here" && find . -type f ! -name '*.new' | sort) | while read -r file; do
    put "$here/$file" "$opt/${file#./}" "$(mode_of "$here/$file")"
  done
  places | while read -r source target; do put "$here/$source" "$target" 644; done
  mkdir -p "$root/usr/local/bin"
  ln -sfn "$opt/ecs-host-service" "$root/usr/local/bin/ecs-host-service"
}

# An operator's file is created once, and never changed.
put_settings() {
  mkdir -p "$root$settings/credentials"
  chmod 700 "$root$settings" "$root$settings/credentials"
  [ -e "$root$settings/environment" ] || put "$here/environment.example" "$settings/environment" 600
  [ -e "$root$daemon" ] || put "$here/daemon.json" "$daemon" 644
}

# The service also counts as running while it starts, stops, or is about to be restarted.
runs() {
  case $(systemctl show --property=ActiveState --value "$1") in
    inactive | failed) return 1 ;;
  esac
}

has_credentials() {
  version=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
  [ "${version:-999}" -ge 247 ]
}

# Each secret is passed to the service as a credential. If systemd does not support credentials, the service reads the
# files, which only root can read.
put_credentials() {
  draft=$(mktemp)
  echo '[Service]' > "$draft"
  way=credentials
  has_credentials || way=files
  [ $way = credentials ] || echo "Environment=CREDENTIALS_DIRECTORY=$settings/credentials" >> "$draft"
  for file in "$root$settings"/credentials/*; do
    [ -f "$file" ] || continue
    chown root:root "$file"
    chmod 600 "$file"
    [ $way = files ] || echo "LoadCredential=${file##*/}:$settings/credentials/${file##*/}" >> "$draft"
  done
  for unit in "$service" "$wait"; do put "$draft" "$units/$unit.d/credentials.conf" 644; done
  rm "$draft"
}

check_host() {
  [ "$(id -u)" = 0 ] || fail "must be run as root"
  "$here/ecs-host-service" version > /dev/null ||
    fail "this host cannot run $here/ecs-host-service: it is for $(sed -n 's/^platform //p' "$here/VERSION") with a C library of 2.28 or newer"
  modprobe --quiet uinput || true
  found=$("$here/ecs-host-service" doctor --host) && return 0
  say "This host lacks something:"
  printf '%s\n' "$found" | sed -n '/^error/{p;n;p}' >&2
  [ "$1" = --force ] || fail "see to it, or go on all the same with --force"
}

tell_system() {
  systemctl mask --quiet ctrl-alt-del.target
  # Keystrokes in a container must not reach a login prompt of the host. serial-getty@ stays.
  # shellcheck disable=SC2086 # they are several
  systemctl mask --quiet $gettys ||
    say "Login prompts on virtual consoles ($gettys) could not be masked; see that none is started."
  systemctl stop 'getty@*.service' 'autovt@*.service'
  # This service starts the agent.
  if systemctl is-enabled --quiet ecs.service 2>/dev/null; then systemctl disable --quiet ecs.service; fi
  systemctl daemon-reexec
  udevadm control --reload
  sysctl --quiet --load=/etc/sysctl.d/60-ecs-host-service.conf
  systemctl enable --quiet "$service" "$guard"
  # Docker starts this unit whenever it starts.
  ! runs docker.service || systemctl restart "$guard" ||
    say "Containers may reach the credentials of this host: \"systemctl status $guard\" says why."
}

tell_docker() {
  if ! grep -qs "$profile" "$daemon"; then
    say "Docker has other settings; put \"seccomp-profile\": \"$profile\" into $daemon and restart Docker."
  elif [ "$1" = changed ] && { runs "$service" || [ -n "$(docker ps --quiet 2>/dev/null)" ]; }; then
    say "Docker takes the new seccomp profile when it is restarted; it was not, since that ends this service and containers."
  elif [ "$1" = changed ]; then
    systemctl restart docker.service
  fi
}

tell_operator() {
  if runs "$service"; then
    say "The service runs, and goes on as it was. To change to this version, while containers run on:"
    say "  ecs-host-service upgrade"
  else
    say "Write its settings into $settings/environment, its secrets into $settings/credentials (and run install.sh again"
    say "then), see with \"ecs-host-service doctor\" that nothing is missing, and start it: systemctl start $service"
  fi
}

install_all() {
  [ -n "$root" ] || check_host "$1"
  say "Installing $(sed -n 's/^version //p' "$here/VERSION") …"
  before=$(cat "$root$profile" "$root$daemon" 2>/dev/null | cksum)
  keep_previous
  put_files
  put_settings
  put_credentials
  [ -z "$root" ] || return 0
  tell_system
  if [ "$before" = "$(cat "$profile" "$daemon" | cksum)" ]; then tell_docker same; else tell_docker changed; fi
  tell_operator
}

check_idle() {
  ! runs "$wait" ||
    fail "containers that a dead service left are in use; wait, or start $service and stop it, which ends them"
  ! runs "$service" ||
    fail "$service runs; \"systemctl stop $service\" ends it with its containers, and saves their users' files"
  [ "$1" != --purge ] || [ -z "$(find "$state/spool" -type f 2>/dev/null)" ] ||
    fail "users' files in $state/spool wait for S3; start the service until they are there, or leave out --purge"
}

uninstall() {
  [ "$(id -u)" = 0 ] || fail "must be run as root"
  [ -z "$root" ] || fail "uninstall takes it from this host, not from below a directory; unset DESTDIR"
  check_idle "$1"
  systemctl disable --quiet --now "$service" "$guard" || true
  "$opt/metadata-guard.sh" off
  ! systemctl cat ecs.service > /dev/null 2>&1 || say "ecs.service stays disabled; \"systemctl enable ecs.service\" changes that."
  # shellcheck disable=SC2086 # they are several
  systemctl unmask --quiet ctrl-alt-del.target $gettys
  say "Login prompts on virtual consoles come back with the next boot, or with \"systemctl start getty@tty1.service\"."
  if cmp -s "$daemon" "$opt/daemon.json"; then
    rm "$daemon"
    say "Docker keeps its seccomp profile until it is restarted."
  fi
  kept=""
  if grep -qs "$profile" "$daemon"; then
    kept=$profile
    say "$profile stays: $daemon names it."
  fi
  places | while read -r _ target; do [ "$target" = "$kept" ] || rm -f "$target"; done
  rm -rf "$units/$service.d/credentials.conf" "$units/$wait.d/credentials.conf" "$state/program" "$opt"
  for unit in "$service" "$wait"; do rmdir "$units/$unit.d" 2>/dev/null || true; done
  rm -f /usr/local/bin/ecs-host-service
  systemctl daemon-reexec
  udevadm control --reload
  if [ "$1" = --purge ]; then
    rm -rf "$settings" "$state"
  else
    say "Settings and secrets stay in $settings, receipts, logs, the host's id and what waits for S3 in $state."
  fi
}

case "$*" in
  "" | --force) install_all "${1:-}" ;;
  uninstall | "uninstall --purge") uninstall "${2:-}" ;;
  *) fail "usage: install.sh [--force] | install.sh uninstall [--purge]" ;;
esac
