#!/bin/sh
# Builds the guest: a Debian with the kernel's uinput, systemd, udev and the Docker Engine, only from the distribution's
# packages. It is stored outside the checkout, under a hash of its inputs. While they do not change, it is not built
# again.
#
# Prints the directory of vmlinuz, initrd, disk.img, and xorg.tar (an X server for an image).
set -eu

here=$(dirname "$(realpath "$0")")
key=$(tar -c --sort=name --mtime=@0 --owner=0 --group=0 -C "$here" . | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/ecs-host-service
guest=$cache/guest-$key
say() { echo "$*" >&2; }

mkdir -p "$cache"
exec 9> "$cache/lock"
flock 9
if [ -e "$guest/done" ]; then
  echo "$guest"
  exit 0
fi

# Other guests are no longer needed. One whose build was killed may have left a mount behind.
for left in "$cache"/building.*/root/proc; do
  ! mountpoint -q "$left" || umount "$left"
done
rm -rf --one-file-system "$cache"/guest-* "$cache"/building.*
work=$(mktemp -d "$cache/building.XXXXXX")
root=$work/root
trap 'umount "$root/proc" 2> /dev/null || true; rm -rf "$work"' EXIT
logged() { "$@" > "$work/log" 2>&1 9>&- || { tail -n 40 "$work/log" >&2; say "The guest could not be built, because $1 failed; its output is above."; exit 1; }; }
inside() { logged chroot "$root" env DEBIAN_FRONTEND=noninteractive "$@"; }

say "Building the guest (once, about two minutes): its packages …"
# The mirror of this machine's own packages. If apt-get names none, debootstrap uses its default.
# shellcheck disable=SC2016 # apt-get expands it
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' 2> /dev/null | head -n 1)
packages=systemd,systemd-sysv,udev,dbus,iproute2,iptables,docker.io,apparmor,ca-certificates,kmod,procps,initramfs-tools,zstd,lz4,xfsprogs
logged debootstrap --variant=minbase --include="$packages" bookworm "$root" ${mirror:+"$mirror"}

say "Building the guest: its kernel …"
cp -r "$here/files/." "$root/"
mkdir "$root/project"
mount -t proc proc "$root/proc"
inside apt-get install -y -qq --no-install-recommends linux-image-amd64
umount "$root/proc"
inside useradd --create-home --uid 1000 ubuntu
inside systemctl enable guest.service guest-journal.service
mv "$root"/boot/vmlinuz-* "$work/vmlinuz"
mv "$root"/boot/initrd.img-* "$work/initrd"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*

say "Building the guest: its disk …"
logged mke2fs -q -t ext4 -L root -d "$root" "$work/disk.img" 8G

say "Building the guest: an X server for containers …"
inside apt-get update -qq
inside apt-get install -y -qq --no-install-recommends xserver-xorg-core xserver-xorg-video-dummy xserver-xorg-video-fbdev xserver-xorg-input-evdev xinput
# shellcheck disable=SC2016 # the shell in the guest expands it
inside sh -euc '
  cd /usr/lib/xorg
  programs=$(ls "$PWD/Xorg" "$PWD"/modules/*fb*.so "$PWD"/modules/drivers/dummy_drv.so "$PWD"/modules/drivers/fbdev_drv.so "$PWD/modules/input/evdev_drv.so")
  programs="$programs /bin/sh /bin/mkdir /bin/mknod /usr/bin/xkbcomp /usr/bin/xinput"
  # Adds their libraries, and the dynamic linker.
  libraries=$(ldd $programs | grep -o "/[^ :]*" | sort -u)
  tar --create --dereference --absolute-names --file /xorg.tar $programs $libraries /usr/share/X11/xkb'
mv "$root/xorg.tar" "$work/"
rm -rf "$root" "$work/log"
touch "$work/done"
mv "$work" "$guest"
echo "$guest"
