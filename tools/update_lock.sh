#!/usr/bin/env bash
# Writes requirements.lock anew from pyproject.toml, with the newest versions that fit. Needs the program `uv`
# (pip install uv, best in an environment of its own).
# Usage: tools/update_lock.sh [OPTION OF uv pip compile ...]     for instance --upgrade-package keras
set -euo pipefail
cd "$(dirname "$0")/.."
new=$(mktemp)
trap 'rm -f "$new"' EXIT
cp requirements.lock "$new" 2>/dev/null || true
uv pip compile pyproject.toml --universal --python-version 3.10 --no-python-downloads --quiet \
    --extra beam --extra demo --extra dev \
    --no-emit-index-url --no-header --no-annotate --output-file "$new" "$@"
{
    echo "# Exact versions of everything that \`make setup\` installs: the package with its extras beam, demo and dev, for"
    echo "# Linux and Python 3.10 to 3.13. Written by tools/update_lock.sh from pyproject.toml."
    # Every line is for Linux and below Python 3.14; only what differs between the lines is worth reading.
    grep -v '^#' "$new" | sed -E \
        -e "s/sys_platform == 'linux'/LINUX/g" -e "s/ and LINUX//g" \
        -e "s/python_full_version < '3.14' and //; s/ and python_full_version < '3.14'//" \
        -e "s/ ; python_full_version < '3.14'$//"
} >requirements.lock
