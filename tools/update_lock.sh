#!/usr/bin/env bash
# Rewrites requirements.lock and requirements-peers.lock from pyproject.toml, with the newest compatible versions.
# Needs the program `uv` (pip install uv, best in a separate environment).
# Usage: tools/update_lock.sh [OPTION OF uv pip compile ...]     such as --upgrade-package keras
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

compile() {
    uv pip compile "$@" --universal --python-version 3.10 --no-python-downloads --quiet \
        --no-emit-index-url --no-header --no-annotate
}

# All lines are for Linux and Python below 3.14, so these markers are removed.
shorten() {
    grep -v '^#' "$1" | sed -E \
        -e "s/sys_platform == 'linux'/LINUX/g" -e "s/ and LINUX//g" \
        -e "s/python_full_version < '3.14' and //; s/ and python_full_version < '3.14'//" \
        -e "s/ ; python_full_version < '3.14'$//"
}

cp requirements.lock "$work/main" 2>/dev/null || true
main=(--extra beam --extra demo --extra dev --extra interop)
compile pyproject.toml "${main[@]}" --output-file "$work/main" "$@"
{
    echo "# Exact versions of everything that \`make setup\` installs: the package with its extras beam, demo, dev and"
    echo "# interop, for Linux and Python 3.10 to 3.13. Written by tools/update_lock.sh from pyproject.toml."
    shorten "$work/main"
} >requirements.lock

# PyTorch has builds for few processors, which uv rejects, and builds with and without CUDA's libraries. So it is added
# by hand, together with the requirements that all its builds share.
torch=$(sed -nE 's/^.*"torch~=([0-9.]+)".*/\1/p' pyproject.toml)
echo "torch ; python_version < '3'" >"$work/without-torch"
printf '%s\n' jinja2 networkx sympy >"$work/of-torch"
cat requirements.lock requirements-peers.lock >"$work/peers" 2>/dev/null || true
compile pyproject.toml "$work/of-torch" "${main[@]}" --extra peers --override "$work/without-torch" \
    --output-file "$work/peers" "$@"
{
    echo "# What \`make test\` and \`make bench\` install in addition to requirements.lock: the extra peers, for comparisons."
    echo "# pip installs PyTorch's CPU build (0.2 GB) if it finds one, otherwise the CUDA build with all of CUDA's libraries"
    echo "# (3 GB). Written by tools/update_lock.sh."
    { shorten "$work/peers" | grep -vxFf requirements.lock; echo "torch==$torch"; } | sort
} >requirements-peers.lock
