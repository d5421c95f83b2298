#!/usr/bin/env bash
# Runs on every Spark node before it accepts jobs. Executors need an interpreter at one path; jobs bring everything else.
# Usage: spark-node.sh /usr/bin/python3.11
set -euo pipefail

readonly PYTHON=${1:?usage: spark-node.sh /path/to/pythonX.Y}
readonly NAME=${PYTHON##*/}
if [[ ! $PYTHON =~ ^/[A-Za-z0-9/._-]+/python3[.][0-9]{1,2}$ ]]; then
  echo "spark-node.sh: ${PYTHON@Q} is no path of an interpreter" >&2
  exit 2
fi

install_python() {
  local found
  if command -v dnf >/dev/null; then # EMR
    sudo dnf install --assumeyes --quiet "$NAME"
    return
  fi
  for found in "${CLOUDLSTM_PREFIX:-}"/opt/conda/{,*/}bin/"$NAME"; do # Dataproc: what its images bring for notebooks
    if [[ -x $found ]]; then
      ln -s "$found" "$PYTHON"
      return
    fi
  done
  apt-get update --quiet
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet "$NAME"
}

if [[ ! -x $PYTHON ]]; then
  install_python
fi
found=python$("$PYTHON" -c 'import sys; print(*sys.version_info[:2], sep=".")')
if [[ $found != "$NAME" ]]; then
  echo "spark-node.sh: $PYTHON is $found" >&2
  exit 1
fi
