#!/bin/sh
# Installs what is missing into .venv, then opens Apprentice. Arguments are passed to app.py; "test" runs the tests.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
for python in python3.12 python3.11 python3.13 python3 python; do
    if "$python" -I -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
        exec "$python" "$here/start.py" "$@"
    fi
done
echo "Apprentice needs Python 3.11 to 3.13 with its venv module; none was found." >&2
echo "Install it from python.org, with Homebrew (brew install python@3.12)," >&2
echo "or on Debian and Ubuntu with: sudo apt install python3 python3-venv" >&2
exit 1
