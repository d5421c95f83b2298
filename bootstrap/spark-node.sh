#!/usr/bin/env bash
# Runs on every Spark node before it accepts jobs. Executors need an interpreter at one path; jobs bring everything else.
# Usage: spark-node.sh /usr/bin/python3.11
# Images have it: EMR 7 has 3.11, EMR 8 has 3.11 and 3.13, Dataproc has that of its Debian (12: 3.11, 13: 3.13). For any
# other, a package source must answer: Amazon Linux has its own in S3, which needs no internet; Debian's is the internet.
set -euo pipefail

readonly PYTHON=${1:?usage: spark-node.sh /path/to/pythonX.Y}
readonly NAME=${PYTHON##*/}
if [[ ! $PYTHON =~ ^/[A-Za-z0-9/._-]+/python3[.][0-9]{1,2}$ ]]; then
  echo "spark-node.sh: ${PYTHON@Q} is no path of an interpreter" >&2
  exit 2
fi

readonly HASTY=(-o Acquire::Retries=2 -o Acquire::http::Timeout=10 -o Acquire::https::Timeout=10)

install_python() {
  local found
  if command -v dnf >/dev/null; then # EMR
    sudo dnf install --assumeyes --quiet --setopt=timeout=10 --setopt=retries=2 "$NAME" || no_source
    return
  fi
  for found in "${CLOUDLSTM_PREFIX:-}"/opt/conda/{,*/}bin/"$NAME"; do # Dataproc: what its images bring for notebooks
    if [[ -x $found ]]; then
      ln -s "$found" "$PYTHON"
      return
    fi
  done
  apt-get update --quiet "${HASTY[@]}" || no_source
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet "${HASTY[@]}" "$NAME" || no_source
}

no_source() {
  echo "spark-node.sh: the image has no $PYTHON, and no package source gives it (egress = none?): take another" \
    "release, or the spark_python that the image has" >&2
  return 1
}

if [[ ! -x $PYTHON ]]; then
  install_python
fi
found=python$("$PYTHON" -c 'import sys; print(*sys.version_info[:2], sep=".")')
if [[ $found != "$NAME" ]]; then
  echo "spark-node.sh: $PYTHON is $found" >&2
  exit 1
fi
