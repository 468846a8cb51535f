#!/usr/bin/env bash
# Stage 0: downloads the English submissions to VoxForge, an archive each, to RELEASE. Stage 1 unpacks them.
# No checksums are published; a damaged archive is noticed when it is unpacked.

set -euo pipefail

if [ $# -ne 1 ]; then
  echo "Usage: $0 RELEASE" >&2
  echo " e.g.: $0 downloads/voxforge" >&2
  exit 1
fi

# A mirror may be named by VOXFORGE_URL, a page that links to the archives.
url=${VOXFORGE_URL:-http://www.repository.voxforge1.org/downloads/SpeechCorpus/Trunk/Audio/Main/16kHz_16bit/}

# shellcheck disable=SC1091
. ./path.sh

sertk-download-listed --suffix .tgz "$url" "$1"
