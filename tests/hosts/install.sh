#!/usr/bin/env bash
# Installs the hosts from Debian's packages for the tests in them. Exit status 3: they cannot be installed here.
set -u
wanted="krita python3-pyqt5 blender python3-numpy gimp xvfb xauth xdotool scrot openbox libgl1-mesa-dri"
if command -v krita >/dev/null && command -v blender >/dev/null && command -v gimp >/dev/null \
  && command -v Xvfb >/dev/null && command -v scrot >/dev/null && command -v openbox >/dev/null; then
  exit 0
fi
command -v apt-get >/dev/null || exit 3
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo -n"
$as_root apt-get update -qq || exit 3
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $wanted >/dev/null || exit 3
