#!/usr/bin/env bash
# Stage 0: downloads TED-LIUM release 2 to RELEASE, unless it is there already. It comes as a whole, whatever SUBSET is used.

set -euo pipefail

if [ $# -lt 1 ]; then
  echo "Usage: $0 RELEASE [SUBSET...]" >&2
  echo " e.g.: $0 downloads/tedlium" >&2
  exit 1
fi
release=$1

if [ -d "$release" ]; then
  echo "$0: TED-LIUM is in $release"
  exit 0
fi

# A mirror may be named by TEDLIUM_URL; the sha256 sum stays that of the published file, as torchaudio has it.
url=${TEDLIUM_URL:-https://www.openslr.org/resources/19/TEDLIUM_release2.tar.gz}
sha256=93281b5fcaaae5c88671c9d000b443cb3c7ea3499ad12010b3934ca41a7b9c58

# shellcheck disable=SC1091
. ./path.sh

echo "$0: TED-LIUM is published under CC BY-NC-ND 3.0: credit, no commercial use, no derivatives"
sertk-download --extract "$release.unpacked" "$url" "$sha256" "$(dirname "$release")/TEDLIUM_release2.tar.gz"
mv "$release.unpacked/TEDLIUM_release2" "$release"
rm -r "$release.unpacked"
