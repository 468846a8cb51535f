#!/usr/bin/env bash
# Says which file, line and key of a data folder is wrong, if any.
# usage: validate_data_dir.sh [--no-feats] [--no-text] [--no-wav] DIR
set -euo pipefail
exec python3 -m sertk.bin.data_dir validate "$@"
