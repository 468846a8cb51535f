#!/usr/bin/env bash
# Speech emotion recognition on IEMOCAP, from the release to a results table.
#
# Stages: 0 look for the corpus      3 train every fold and repeat of --model
#         1 data folder, features    4 decode the test splits
#         2 encoder and its layers   5 score; 6 t-SNE figures, with --stop_stage 6
# The corpus is licensed by its makers: ./run.sh says where to apply, ./run.sh --db_root DIR runs everything.
# ./run.sh --help lists the options.
set -euo pipefail
. ./path.sh

corpus=iemocap
protocol=loso_spk
labels=4
label_sets="4 (angry, happy with excited, neutral, sad), 4nomerge (excited left out), votes (4 by evaluators' votes),
           valence3, activation3, dominance3 (low, mid, high)"
subsets="improvised scripted"
partial=false     # true accepts a part of the corpus
own_options="[--subset improvised|scripted|complete] [--partial true]"
. ../common/options.sh

if run_stage 0 "corpus"; then local/check_release.sh "$db_root"; fi

if run_stage 1 "data folder"; then
  local/check_release.sh "$db_root"
  options=()
  [ "$partial" = false ] || options+=(--partial)
  sertk-prepare-corpus "${options[@]}" iemocap "$db_root" "data/$corpus"
fi

. ../common/ser.sh
