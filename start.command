#!/bin/sh
# A double click opens Apprentice in a terminal: on macOS of this file, on Linux of Apprentice.desktop, which runs it.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
sh "$here/start.sh" "$@"
code=$?
if [ "$code" -ne 0 ]; then # the window stays open until the reason was read
    printf '\nPress Return to close this window. '
    read -r _
fi
exit "$code"
