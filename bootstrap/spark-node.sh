#!/usr/bin/env bash
# Run on every Spark node before Spark starts. Executors need one interpreter at one path; all else comes with the job.
# Usage: spark-node.sh /usr/bin/python3.11
set -euo pipefail

readonly PYTHON=${1:?usage: spark-node.sh /path/to/pythonX.Y}
readonly NAME=${PYTHON##*/}

if [[ ! -x $PYTHON ]]; then
  sudo dnf install --assumeyes --quiet "$NAME"
fi
found=python$("$PYTHON" -c 'import sys; print(*sys.version_info[:2], sep=".")')
if [[ $found != "$NAME" ]]; then
  echo "spark-node.sh: $PYTHON is $found" >&2
  exit 1
fi
