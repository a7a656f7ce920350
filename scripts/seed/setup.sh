#!/bin/sh
# Sets up a virtual machine from the ISO that contains this script. cloud-init runs it once, as root, in its own directory.
# It needs no network. docs/virtual-machine.md says what it changes.
set -eu
umask 077

settings=/etc/ecs-host-service
say() { echo "seed: $*" >&2; }
fail() {
  say "$*"
  exit 1
}
# put PATH MODE: writes stdin to a file atomically.
put() {
  mkdir -p "$(dirname "$1")"
  cat > "$1.new"
  chmod "$2" "$1.new"
  mv -f "$1.new" "$1"
}

install_packages() {
  release=$(cat packages/RELEASE)
  codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  [ "$codename" = "$release" ] ||
    fail "this machine runs ${codename:-an unknown release}, but the packages on the ISO are for Debian $release; use an image of that release"
  wanted="docker.io iptables apparmor ca-certificates nftables unattended-upgrades logrotate zstd lz4 kmod procps dbus"
  [ ! -e ssh-key ] || wanted="$wanted openssh-server sudo"
  # Some images already have another time daemon, such as chrony.
  dpkg-query --show --showformat '${db:Status-Status} ${Provides}\n' | grep -q '^installed .*time-daemon' ||
    wanted="$wanted systemd-timesyncd"
  lists=$(mktemp -d)
  echo "deb [trusted=yes] file:$PWD/packages ./" > "$lists/seed.list"
  mkdir -p "$lists/lists/partial"
  from_iso() {
    apt-get -q -o Dir::Etc::sourcelist="$lists/seed.list" -o Dir::Etc::sourceparts=/dev/null \
      -o Dir::State::lists="$lists/lists" -o APT::Sandbox::User=root "$@"
  }
  from_iso update
  # cloud-init writes /etc/sudoers before sudo is there. dpkg would ask which one to keep, and nobody answers.
  # shellcheck disable=SC2086 # a list of packages
  DEBIAN_FRONTEND=noninteractive from_iso -o APT::Install-Recommends=false -o Dpkg::Options::=--force-confold \
    install --yes --no-upgrade $wanted
  rm -rf "$lists"
}

# With a key, only the user admin can sign in, and only with that key. Without a key, nobody can.
harden_ssh() {
  if [ ! -e ssh-key ]; then
    # An enabled SSH service has the alias sshd.service, which "disable" removes.
    for unit in ssh.socket ssh.service; do
      systemctl disable --quiet --now $unit 2> /dev/null || true
      systemctl mask --quiet $unit
    done
    return 0
  fi
  put /etc/ssh/sshd_config.d/00-ecs-host-service.conf 644 << END
AllowUsers admin
AuthenticationMethods publickey
KbdInteractiveAuthentication no
PasswordAuthentication no
PermitRootLogin no
X11Forwarding no
END
  systemctl enable --quiet ssh.service
  systemctl restart ssh.service
}

harden_updates() {
  put /etc/apt/apt.conf.d/52ecs-host-service 644 << END
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
#clear Unattended-Upgrade::Allowed-Origins;
#clear Unattended-Upgrade::Origins-Pattern;
Unattended-Upgrade::Origins-Pattern { "origin=Debian,codename=\${distro_codename}-security,label=Debian-Security"; };
Unattended-Upgrade::Automatic-Reboot "false";
END
  systemctl enable --quiet unattended-upgrades.service
}

# These rules have their own table. Docker's rules are in other tables, which stay when this one is reloaded or deleted.
harden_network() {
  open=""
  [ ! -e ssh-key ] || open="    tcp dport 22 accept"
  [ ! -e port ] || open="$open
    tcp dport $(cat port) accept"
  put /etc/nftables.conf 600 << END
#!/usr/sbin/nft -f
table inet host_filter
delete table inet host_filter
table inet host_filter {
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    ct state invalid drop
    iif lo accept
    meta l4proto { icmp, ipv6-icmp } accept
    udp dport 68 accept
    udp dport 546 accept
$open
  }
}
END
  put /etc/systemd/system/nftables.service.d/ecs-host-service.conf 644 << END
[Service]
ExecStop=
ExecStop=/usr/sbin/nft delete table inet host_filter
END
  systemctl daemon-reload
  systemctl enable --quiet nftables.service
  systemctl restart nftables.service
}

harden_accounts() {
  passwd --quiet --lock root
  rm -f /root/.ssh/authorized_keys
}

keep_time() {
  for unit in systemd-timesyncd.service chrony.service; do
    ! systemctl cat "$unit" > /dev/null 2>&1 || systemctl enable --quiet --now "$unit"
  done
}

install_service() {
  put "$settings/environment" 600 < ./settings
  chmod 700 "$settings"
  for secret in credentials/*; do
    [ ! -e "$secret" ] || put "$settings/$secret" 600 < "./$secret"
  done
  [ ! -e nodes.yaml ] || put "$settings/nodes.yaml" 600 < nodes.yaml
  for image in images/*; do
    [ ! -e "$image" ] || docker load --quiet --input "$image"
  done
  unpacked=$(mktemp -d)
  tar --extract --gzip --file tarball.tar.gz --directory "$unpacked" --strip-components=1
  "$unpacked/install.sh"
  rm -rf "$unpacked"
  systemctl start ecs-host-service.service
}

say "installing packages"
install_packages
say "hardening this machine"
harden_accounts
harden_ssh
harden_updates
harden_network
keep_time
say "installing the service"
install_service
say "done; detach the ISO, because it contains the secrets of this machine"
