#!/usr/bin/env bash
# Joins data folders.
# usage: combine_data.sh [--extra-files "F1 F2"] DEST SRC...
set -euo pipefail
exec python3 -m sertk.bin.data_dir combine "$@"
