#!/usr/bin/env bash
# Stage 0: downloads subsets of LibriSpeech to RELEASE/SUBSET, those that are not there yet.

set -euo pipefail

if [ $# -lt 2 ]; then
  echo "Usage: $0 RELEASE SUBSET..." >&2
  echo " e.g.: $0 downloads/librispeech train-clean-100 dev-clean" >&2
  exit 1
fi
release=$1
shift

# A mirror may be named by LIBRISPEECH_URL; the sha256 sums stay those of the published files, as torchaudio has them.
url=${LIBRISPEECH_URL:-https://www.openslr.org/resources/12}
declare -A sha256=(
  [dev-clean]=76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3
  [dev-other]=12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365
  [test-clean]=39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23
  [test-other]=d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29
  [train-clean-100]=d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2
  [train-clean-360]=146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf
  [train-other-500]=ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2
)

# shellcheck disable=SC1091
. ./path.sh

for subset; do
  if [ -d "$release/$subset" ]; then
    echo "$0: $release/$subset is there"
    continue
  fi
  [ -n "${sha256[$subset]:-}" ] || { echo "$0: $subset is not a subset of LibriSpeech: ${!sha256[*]}" >&2; exit 1; }
  sertk-download --extract "$release/$subset.unpacked" "$url/$subset.tar.gz" "${sha256[$subset]}" "$release/$subset.tar.gz"
  # What describes the speakers is the same in all archives; the subset comes last, as it marks the end.
  find "$release/$subset.unpacked/LibriSpeech" -maxdepth 1 -type f -exec mv -f {} "$release" \;
  mv "$release/$subset.unpacked/LibriSpeech/$subset" "$release"
  rm -r "$release/$subset.unpacked"
done
