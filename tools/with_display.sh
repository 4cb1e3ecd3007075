#!/bin/sh
# Run a command with a display: the one there is, else a virtual one, else Qt's offscreen platform.
if [ "$(uname -s)" != Linux ] || [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    exec "$@"
fi
if command -v xvfb-run >/dev/null 2>&1; then
    exec xvfb-run -a -s "-screen 0 1280x800x24" "$@"
fi
echo "No display and no xvfb-run: Qt draws offscreen, without OpenGL." >&2
QT_QPA_PLATFORM=offscreen exec "$@"
