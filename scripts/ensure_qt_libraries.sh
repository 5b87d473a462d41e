#!/usr/bin/env bash
# Makes sure that the system libraries and the font are there that Qt needs and its wheel lacks.
# Installs them on Debian and Ubuntu when that needs no password; names them otherwise.
set -euo pipefail
# shellcheck disable=SC2086,SC2116  # lists of packages are meant to fall apart into words

PYTHON=${PYTHON:-python3}

# soname and Debian package, as the NEEDED entries of Qt's libraries and platform plugins say.
BASE="
libEGL.so.1 libegl1
libGL.so.1 libgl1
libX11.so.6 libx11-6
libxkbcommon.so.0 libxkbcommon0
libdbus-1.so.3 libdbus-1-3
libfontconfig.so.1 libfontconfig1
libfreetype.so.6 libfreetype6
libglib-2.0.so.0 libglib2.0-0
"
X11="
libX11-xcb.so.1 libx11-xcb1
libxkbcommon-x11.so.0 libxkbcommon-x11-0
libxcb-cursor.so.0 libxcb-cursor0
libxcb-glx.so.0 libxcb-glx0
libxcb-icccm.so.4 libxcb-icccm4
libxcb-image.so.0 libxcb-image0
libxcb-keysyms.so.1 libxcb-keysyms1
libxcb-randr.so.0 libxcb-randr0
libxcb-render.so.0 libxcb-render0
libxcb-render-util.so.0 libxcb-render-util0
libxcb-shape.so.0 libxcb-shape0
libxcb-shm.so.0 libxcb-shm0
libxcb-sync.so.1 libxcb-sync1
libxcb-util.so.1 libxcb-util1
libxcb-xfixes.so.0 libxcb-xfixes0
libxcb-xkb.so.1 libxcb-xkb1
"
WAYLAND="
libwayland-client.so.0 libwayland-client0
libwayland-cursor.so.0 libwayland-cursor0
libwayland-egl.so.1 libwayland-egl1
"

# Loading tells more than a list of files: it follows the loader's own search path.
missing_packages() {
    "$PYTHON" - "$@" <<'PYTHON_END'
import ctypes
import sys

for soname, package in zip(sys.argv[1::2], sys.argv[2::2]):
    try:
        ctypes.CDLL(soname)
    except OSError:
        print(package)
PYTHON_END
}

has_font() {
    local folder
    for folder in /usr/share/fonts /usr/local/share/fonts "${HOME:-/}/.fonts" \
        "${XDG_DATA_HOME:-${HOME:-}/.local/share}/fonts"; do
        [ -d "$folder" ] || continue
        # -L: a folder of fonts is often a link.
        if [ -n "$(find -L "$folder" \( -name '*.ttf' -o -name '*.otf' -o -name '*.ttc' \) \
            -print -quit 2>/dev/null)" ]; then
            return 0
        fi
    done
    return 1
}

install_packages() {
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        as_root=(sudo -n)
    fi
    echo "Installing what Qt needs: $*"
    { "${as_root[@]}" apt-get update -qq &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "$@"; } >&2
}

may_install() {
    command -v apt-get >/dev/null &&
        { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }
}

main() {
    [ "$(uname -s)" = Linux ] || return 0
    local needed="$BASE" missing
    if [ "${QT_QPA_PLATFORM:-}" != offscreen ]; then
        [ -z "${DISPLAY:-}" ] || needed+="$X11"
        [ -z "${WAYLAND_DISPLAY:-}" ] || needed+="$WAYLAND"
    fi
    missing=$(missing_packages $needed)
    has_font || missing+=" fontconfig fonts-dejavu-core"
    missing=$(echo $missing) # one line
    [ -n "$missing" ] || return 0
    if may_install && install_packages $missing; then
        return 0
    fi
    if command -v apt-get >/dev/null; then
        echo "Qt needs system packages that are missing; install them with:" \
            "sudo apt-get install $missing" >&2
    else
        echo "Qt needs system libraries that are missing; install what your system calls" \
            "(Debian's names): $missing" >&2
    fi
    return 1
}

main
