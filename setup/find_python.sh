#!/bin/sh
# Prints the path of a Python 3.11 that can make virtual environments, or says what is missing.
set -eu
for name in "${PYTHON:-}" python3.11 python3 python; do
    [ -n "$name" ] && path=$(command -v "$name" 2>/dev/null) || continue
    if "$path" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
        if ! "$path" -c 'import ensurepip, venv' 2>/dev/null; then
            echo "Python 3.11 was found ($path) but it cannot make virtual environments." >&2
            echo "Next: install the package python3.11-venv (Debian: apt-get install python3.11-venv), then run make again." >&2
            exit 1
        fi
        echo "$path"
        exit 0
    fi
done
echo "Python 3.11 was not found (looked for python3.11, python3, python in PATH)." >&2
echo "Next: install it (Debian 12: apt-get install python3.11 python3.11-venv), or run: make PYTHON=/path/to/python3.11 ..." >&2
exit 1
