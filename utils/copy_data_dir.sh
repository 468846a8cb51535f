#!/usr/bin/env bash
# Copies a data folder; with --feats a plain Kaldi folder whose feats.scp is feats/TYPE.scp.
# usage: copy_data_dir.sh [--utt-prefix P] [--spk-prefix P] [--feats TYPE] SRC DEST
set -euo pipefail
exec python3 -m sertk.bin.data_dir copy "$@"
