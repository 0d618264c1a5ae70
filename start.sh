#!/bin/sh
# Installs what is missing into .venv, then opens Apprentice. Arguments are passed to app.py; "test" runs the tests.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
check='import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))'
system=$(uname)
for python in python3.12 python3.11 python3.13 python3.14 python3 python; do
    # The Python in a Mac's /usr/bin is too old, or opens a dialog that offers Xcode.
    case $system$(command -v "$python") in Darwin/usr/bin/*) continue ;; esac
    if "$python" -I -c "$check" 2>/dev/null; then
        exec "$python" "$here/start.py" "$@"
    fi
done
has() { command -v "$1" >/dev/null; }
# Whether the system's own Python is too old or too new: its package would bring that one again.
unfit() { python3 -I -c 'import sys; sys.exit((3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; }
# uv's Python is not signed: a Mac's Gatekeeper would stop it.
if [ "$system" != Darwin ] && has uv && uv python install 3.12 --no-bin && python=$(uv python find 3.12 --system --managed-python); then
    exec "$python" "$here/start.py" "$@"
fi
if [ "$system" = Darwin ]; then
    step="install Python 3.12 from https://www.python.org/downloads/macos"
    if has brew; then step="type: brew install python@3.12"; fi
elif has apt-get && ! unfit; then step="type: sudo apt install python3 python3-venv"
elif has dnf; then step="type: sudo dnf install python3.12"
elif has pacman && ! unfit; then step="type: sudo pacman -S python"
elif has zypper; then step="type: sudo zypper install python312"
else step="install uv, which can install Python: https://docs.astral.sh/uv/getting-started/installation"
fi
echo "Apprentice needs Python 3.11 to 3.14 with its venv module; none was found." >&2
echo "To get one, $step" >&2
echo "Then start Apprentice again." >&2
exit 1
