#!/usr/bin/env bash
# Whether RELEASE holds the FAU-Aibo corpus; if not, says where to apply for it.

set -euo pipefail

if [ $# -ne 1 ]; then
  echo "Usage: $0 RELEASE" >&2
  echo " e.g.: $0 /corpora/FAU-Aibo" >&2
  exit 1
fi
release=$1

labels=labels/IS2009EmotionChallenge
missing=
for part in wav $labels/chunk_labels_2cl_corpus.txt $labels/chunk_labels_5cl_corpus.txt; do
  [ -e "$release/$part" ] || missing+=" $part"
done
if [ -n "$missing" ]; then
  {
    if [ -n "$release" ]; then
      echo "$0: $release lacks$missing"
    else
      echo "$0: --db_root DIR must name the FAU-Aibo corpus, which its makers license for research; apply at"
      echo "  https://www5.cs.fau.de/de/mitarbeiter/steidl-stefan/fau-aibo-emotion-corpus/"
    fi
    echo "DIR holds wav/Ohm_01_000_00.wav ... and $labels/chunk_labels_{2,5}cl_corpus.txt"
  } >&2
  exit 1
fi
echo "$0: FAU-Aibo is in $release"
