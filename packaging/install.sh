#!/bin/sh
# Installs ecs-host-service on this host, or upgrades it. Run it as root, from the unpacked tarball or from
# /opt/ecs-host-service:
#
#   install.sh [--force]             --force: install even if the host does not meet all requirements
#   install.sh uninstall [--purge]   --purge: also remove settings, secrets, receipts, logs and the host's id
#
# A running service is not affected: it continues with the files from which it was started. Running the script again
# does no harm. Run it again after you put secrets into /etc/ecs-host-service/credentials, so that the service gets them.
# With DESTDIR=…, it writes the files below that directory and does nothing else.
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

# Prints SOURCE TARGET for each file that is also installed outside the program's directory.
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

# Keeps the program that runs now, so that a failed upgrade can return to it. A program that was installed later but has
# never run is not kept.
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
    fail "this host cannot run $here/ecs-host-service, which needs $(sed -n 's/^platform //p' "$here/VERSION") and glibc 2.28 or newer"
  modprobe --quiet uinput || true
  found=$("$here/ecs-host-service" doctor --host) && return 0
  say "This host does not meet the requirements:"
  printf '%s\n' "$found" | sed -n '/^error/{p;n;p}' >&2
  [ "$1" = --force ] || fail "fix these problems, or install anyway with --force"
}

tell_system() {
  systemctl mask --quiet ctrl-alt-del.target
  # Keystrokes in a container must not reach a login prompt of the host. serial-getty@ stays.
  # shellcheck disable=SC2086 # a list of units
  systemctl mask --quiet $gettys ||
    say "systemd could not mask login prompts on virtual consoles ($gettys); make sure that none starts."
  systemctl stop 'getty@*.service' 'autovt@*.service'
  # The service starts the ECS agent itself.
  if systemctl is-enabled --quiet ecs.service 2>/dev/null; then systemctl disable --quiet ecs.service; fi
  systemctl daemon-reexec
  udevadm control --reload
  sysctl --quiet --load=/etc/sysctl.d/60-ecs-host-service.conf
  systemctl enable --quiet "$service" "$guard"
  # Docker starts the guard whenever it starts itself; this covers a Docker that already runs.
  ! runs docker.service || systemctl restart "$guard" ||
    say "Containers may be able to reach the credentials of this host; \"systemctl status $guard\" shows why."
}

tell_docker() {
  if ! grep -qs "$profile" "$daemon"; then
    say "$daemon does not name the seccomp profile; add \"seccomp-profile\": \"$profile\" to it and restart Docker."
  elif [ "$1" = changed ] && { runs "$service" || [ -n "$(docker ps --quiet 2>/dev/null)" ]; }; then
    say "Docker uses the new seccomp profile only after a restart. The installer did not restart Docker, because that would"
    say "end the service and all containers."
  elif [ "$1" = changed ]; then
    systemctl restart docker.service
  fi
}

tell_operator() {
  if runs "$service"; then
    say "The service still runs the previous version. To switch to this version while containers keep running, run:"
    say "  ecs-host-service upgrade"
  else
    say "Next steps:"
    say "  1. Write the settings into $settings/environment."
    say "  2. Write each secret into a file in $settings/credentials, and run install.sh again."
    say "  3. Check the settings and the host: ecs-host-service doctor"
    say "  4. Start the service: systemctl start $service"
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
    fail "containers that a crashed service left are still in use; wait until they end, or start $service and stop it again"
  ! runs "$service" ||
    fail "$service runs; \"systemctl stop $service\" ends it and its containers, and saves their users' files"
  [ "$1" != --purge ] || [ -z "$(find "$state/spool" -type f 2>/dev/null)" ] ||
    fail "users' files in $state/spool wait for S3; start the service and wait until it has uploaded them, or omit --purge"
}

uninstall() {
  [ "$(id -u)" = 0 ] || fail "must be run as root"
  [ -z "$root" ] || fail "uninstall works only on this host, not below a directory; unset DESTDIR"
  check_idle "$1"
  systemctl disable --quiet --now "$service" "$guard" || true
  "$opt/metadata-guard.sh" off
  ! systemctl cat ecs.service > /dev/null 2>&1 || say "ecs.service is still disabled; \"systemctl enable ecs.service\" enables it."
  # shellcheck disable=SC2086 # a list of units
  systemctl unmask --quiet ctrl-alt-del.target $gettys
  say "Login prompts on virtual consoles return at the next boot, or with \"systemctl start getty@tty1.service\"."
  if cmp -s "$daemon" "$opt/daemon.json"; then
    rm "$daemon"
    say "Docker uses the seccomp profile until you restart it."
  fi
  kept=""
  if grep -qs "$profile" "$daemon"; then
    kept=$profile
    say "$profile was not removed, because $daemon names it."
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
    say "Settings and secrets were kept in $settings; receipts, logs, the host's id and saves that wait for S3 in $state."
  fi
}

case "$*" in
  "" | --force) install_all "${1:-}" ;;
  uninstall | "uninstall --purge") uninstall "${2:-}" ;;
  *) fail "usage: install.sh [--force] | install.sh uninstall [--purge]" ;;
esac
