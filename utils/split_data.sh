#!/usr/bin/env bash
# Makes DIR/splitN/1 ... N, each speaker in one part, or DIR/splitNutt with --per-utt.
# usage: split_data.sh [--per-utt] DIR N
set -euo pipefail
exec python3 -m sertk.bin.data_dir split "$@"
