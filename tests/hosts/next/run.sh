#!/usr/bin/env bash
# Tries the packed plugins in the next hosts (GIMP 3.0, Blender 4.3, Krita 5.2), in a Debian 13 below build/.
# Needs root: it makes the system with debootstrap and works in it with chroot. `run.sh setup` only makes it.
set -euo pipefail
cd "$(dirname "$0")/../../.."
here=tests/hosts/next
work=$PWD/build/hosts-next
root=$work/root
suite=trixie
packages="gimp gir1.2-gimp-3.0 python3-gi blender krita python3-pyqt5 python3-numpy xvfb xauth xdotool scrot openbox
  libgl1-mesa-dri fonts-noto-cjk"

if [ "$(id -u)" != 0 ]; then
  echo "$0: needs root, for debootstrap and chroot" >&2
  exit 3
fi

# The archive that this machine installs its own packages from.
archive() {
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null \
    | grep -v '^#' | grep -oE '[a-z]+://[^ ]+/debian/?( |$)' | sed -n '1{s/ //g;p}' || true
}

setup() {
  [ -e "$work/ready" ] && return
  command -v debootstrap >/dev/null || apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
  local mirror
  mirror=$(archive)
  [ -n "$mirror" ] || { echo "$0: no Debian archive in /etc/apt/sources.list*" >&2; exit 3; }
  mkdir -p "$work"
  [ -e "$root/etc/debian_version" ] || debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$work/debootstrap.log"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  cp /etc/hosts "$root/etc/hosts"
  cp /etc/apt/apt.conf.d/*proxy* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
  # Services have no business in a chroot.
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$root" sh -c \
    "apt-get update -qq && apt-get install -y -qq --no-install-recommends $(echo $packages)" >"$work/install.log" 2>&1
  touch "$work/ready"
}

setup
[ "${1:-}" = setup ] && exit 0
exec .venv/bin/python "$here/check.py" "$root" "$@"
