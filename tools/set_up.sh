#!/bin/sh
# Make .venv hold this project and everything its tests need. Called by the Makefile.
#   PYTHON              the interpreter to use (python3 by default), 3.11 or newer
#   --system-packages   only what Qt needs of the system, no .venv
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

say() { printf '%s\n' "$*" >&2; }

if ! command -v "$python" >/dev/null 2>&1; then
    say "There is no $python here; install Python 3.11 or newer, or name one: make PYTHON=..."
    exit 2
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    say "$("$python" --version) is too old; Python 3.11 or newer is needed: make PYTHON=..."
    exit 2
fi

# What PyQt6 and an OpenGL canvas load, a virtual display for them, and a font to write with.
packages="xvfb xauth libegl1 libgl1 libgl1-mesa-dri libopengl0 libglib2.0-0 libdbus-1-3
libfontconfig1 libxkbcommon0 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0
libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-sync1 libxcb-util1
libxcb-xfixes0 libxcb-xinerama0 libxcb-xkb1 fonts-dejavu-core"
"$python" -c 'import ensurepip, venv' 2>/dev/null || packages="$packages python3-venv"

if command -v apt-get >/dev/null 2>&1 && command -v dpkg-query >/dev/null 2>&1; then
    # Newer releases rename a package (libglib2.0-0t64) and say that it provides the old name.
    installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}, ${Provides}\n' |
        sed -n 's/^installed //p' | tr ',' '\n' | sed 's/(.*//; s/ //g')
    missing=""
    for package in $packages; do
        printf '%s\n' "$installed" | grep -qxF "$package" || missing="$missing $package"
    done
    if [ -n "$missing" ] && [ "$(id -u)" -eq 0 ]; then
        say "Installing Debian packages for Qt and a virtual display:$missing"
        export DEBIAN_FRONTEND=noninteractive
        # shellcheck disable=SC2086  # a list of words
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } \
            >/dev/null || say "They could not be installed; windows may not open."
    elif [ -n "$missing" ]; then
        say "Not root, so these Debian packages are left out (windows may not open):$missing"
    fi
else
    say "No apt-get here, so Qt's system libraries are taken as they are."
fi

[ "${1:-}" != --system-packages ] || exit 0

[ -d .venv ] || "$python" -m venv .venv
bin=.venv/bin
[ -d "$bin" ] || bin=.venv/Scripts # Windows
say "Installing the project and its tools into .venv (a few minutes the first time)."
"$bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    -c constraints.txt -e ".[dev]"
