#!/usr/bin/env bash
# Speech emotion recognition on RAVDESS, from the release to a results table.
#
# Stages: 0 get the corpus          3 train every fold and repeat of --model
#         1 data folder, features   4 decode the test splits
#         2 encoder and its layers  5 score; 6 t-SNE figures, with --stop_stage 6
# A bare ./run.sh downloads RAVDESS (0.2 GB) and runs everything; --db_root DIR takes a copy on disk.
# ./run.sh --help lists the options.
set -euo pipefail
. ./path.sh

corpus=ravdess
protocol=emobox
labels=8
label_sets="8 (emotions), 2 (intensity: normal, strong), 2val (valence: positive, negative)"
. ../common/options.sh

if run_stage 0 "corpus"; then
  if [ -n "$db_root" ]; then echo "$0: using $db_root"; else local/get_data.sh downloads; fi
fi

if run_stage 1 "data folder"; then
  need_corpus downloads
  sertk-prepare-corpus ravdess "$db_root" "$data"
fi

. ../common/ser.sh
