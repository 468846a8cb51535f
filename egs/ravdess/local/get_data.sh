#!/usr/bin/env bash
# Stage 0: downloads RAVDESS's speech recordings to DOWNLOADS/ravdess, unless DOWNLOADS holds them already.

set -euo pipefail

if [ $# -ne 1 ]; then
  echo "Usage: $0 DOWNLOADS" >&2
  echo " e.g.: $0 downloads" >&2
  exit 1
fi
downloads=$1

# A mirror may be named by RAVDESS_URL; the checksum stays that of the published file.
url=${RAVDESS_URL:-https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip?download=1}
md5=bc696df654c87fed845eb13823edef8a

# Hidden folders are what a killed download left behind.
if [ -d "$downloads" ] &&
  [ -n "$(find -L "$downloads" -mindepth 1 -name '.*' -prune -o -name '03-01-*' -print -quit)" ]; then
  echo "$0: RAVDESS is in $downloads"
  exit 0
fi

# shellcheck disable=SC1091
. ./path.sh

echo "$0: RAVDESS is published under CC BY-NC-SA 4.0: credit, no commercial use, share alike"
sertk-download --extract "$downloads/ravdess" "$url" "$md5" "$downloads/Audio_Speech_Actors_01-24.zip"
