#!/usr/bin/env bash
# Stage 0: speaks the mini corpus with espeak-ng's voices to ROOT, unless it is there already.

set -euo pipefail

if [ $# -ne 1 ]; then
  echo "Usage: $0 ROOT" >&2
  echo " e.g.: $0 downloads/mini" >&2
  exit 1
fi

# shellcheck disable=SC1091
. ./path.sh

sertk-synthesise-mini "$1"
