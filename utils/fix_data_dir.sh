#!/usr/bin/env bash
# Sorts the files of a data folder and drops what is not in all of them; they are kept in DIR/.backup.
# usage: fix_data_dir.sh DIR
set -euo pipefail
exec python3 -m sertk.bin.data_dir fix "$@"
