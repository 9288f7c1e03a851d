#!/usr/bin/env bash
# Tests the plugins in the next hosts (GIMP 3.0, Blender 4.3, Krita 5.2), in a Debian 13 below build/.
# Needs root: it makes the system with debootstrap and works in it with chroot.
#   run.sh             all tests of Krita and Blender once more, in the next ones, and those of this folder
#   run.sh TEST...     some of them, as pytest takes them
#   run.sh setup       makes the system and ends
#   run.sh shell WORD  a command in the system, with all that the tests see there
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

# The tests run outside; what they call krita, blender or gimp is the one of the chroot, which sees this checkout,
# its Python and the tests' folders at their own places.
inside() {
  local python name
  python=$(.venv/bin/python -c 'import sys; print(sys.base_prefix)')
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  for name in /tmp "$PWD" "$python"; do
    mkdir -p "$root$name"
    mount --bind "$name" "$root$name"
  done
  mkdir -p "$work/bin"
  for name in krita blender gimp-3.0 gimp-console-3.0; do
    printf '#!/bin/sh\nexec chroot "%s" /usr/bin/%s "$@"\n' "$root" "$name" >"$work/bin/$name"
    chmod 755 "$work/bin/$name"
  done
  if [ "${1:-}" = shell ]; then
    shift
    exec chroot "$root" "$@"
  fi
  [ $# != 0 ] || set -- tests/hosts/test_krita*.py tests/hosts/test_blender.py $here
  export PATH=$work/bin:$PATH DOUGA_HOSTS_NEXT=1
  exec .venv/bin/python -m pytest -m hosts -p no:cacheprovider "$@"
}

if [ "${1:-}" = inside ]; then
  shift
  inside "$@"
fi
setup
[ "${1:-}" = setup ] && exit 0
# Mounts of a namespace of our own end with the last process in it, however that ends.
exec unshare --mount --propagation private "$BASH" "$here/run.sh" inside "$@"
