#!/usr/bin/env bash
# Whether RELEASE is one of IEMOCAP; if not, says where to apply for it. Stage 1 finds what is missing in one.

set -euo pipefail

if [ $# -ne 1 ]; then
  echo "Usage: $0 RELEASE" >&2
  echo " e.g.: $0 /corpora/IEMOCAP_full_release" >&2
  exit 1
fi

if compgen -G "$1/Session[1-5]/dialog/EmoEvaluation" > /dev/null; then
  echo "$0: IEMOCAP is in $1"
elif [ -n "$1" ]; then
  echo "$0: $1 has no Session1/dialog/EmoEvaluation: DIR of --db_root holds Session1 ... Session5" >&2
  exit 1
else
  echo "$0: --db_root DIR must name IEMOCAP, which its makers license for research; apply at" >&2
  echo "  https://sail.usc.edu/iemocap/iemocap_release.htm" >&2
  echo "DIR holds Session1 ... Session5" >&2
  exit 1
fi
