#!/usr/bin/env bash
# Stage 0: downloads RAVDESS's speech recordings to DB_ROOT, unless they are there already.

set -euo pipefail

if [ $# -ne 1 ]; then
  echo "Usage: $0 DB_ROOT" >&2
  echo " e.g.: $0 downloads/ravdess" >&2
  exit 1
fi
db_root=${1%/}

# A mirror may be named by RAVDESS_URL; the checksum stays that of the published file.
url=${RAVDESS_URL:-https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip?download=1}
md5=bc696df654c87fed845eb13823edef8a

if [ -d "$db_root" ] && [ -n "$(find -L "$db_root" -name '03-01-*' -print -quit)" ]; then
  echo "$0: RAVDESS is in $db_root"
  exit 0
fi
if [ -d "$db_root" ] && [ -n "$(find "$db_root" -mindepth 1 -print -quit)" ]; then
  echo "$0: $db_root holds other files but no RAVDESS recordings (03-01-*): name the right folder with" \
    "--db_root, or one that does not exist yet to download to" >&2
  exit 1
fi

# shellcheck disable=SC1091
. ./path.sh

echo "$0: RAVDESS is published under CC BY-NC-SA 4.0: share alike, not for commercial use"
sertk-download --extract "$db_root" "$url" "$md5" "$(dirname "$db_root")/Audio_Speech_Actors_01-24.zip"
