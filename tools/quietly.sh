#!/usr/bin/env bash
# Runs a command with its output in a log; if it fails, prints the end of the log and its path.
# Usage: tools/quietly.sh LOG COMMAND [ARGUMENT ...]
set -u
log=$1
shift
mkdir -p "$(dirname "$log")"
if "$@" >"$log" 2>&1; then
    exit 0
else
    status=$?
fi
tail -n 25 "$log" >&2
echo "error: '$*' failed with status $status; see the log: $log" >&2
exit "$status"
