#!/usr/bin/env bash
# Makes a data folder of some of another's utterances.
# usage: subset_data_dir.sh [--first|--last|--shortest|--per-spk|--speakers] SRC N DEST
#        subset_data_dir.sh (--utt-list FILE | --spk-list FILE) SRC DEST
set -euo pipefail
exec python3 -m sertk.bin.data_dir subset "$@"
