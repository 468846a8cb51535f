#!/usr/bin/env bash
# Speech emotion recognition on FAU-Aibo, from the release to a results table.
#
# Stages: 0 look for the corpus      3 train every fold and repeat of --model
#         1 data folder, features    4 decode the test splits
#         2 encoder and its layers   5 score; 6 t-SNE figures, with --stop_stage 6
# The corpus is licensed by its makers: ./run.sh says where to apply, ./run.sh --db_root DIR runs everything.
# ./run.sh --help lists the options.
set -euo pipefail
. ./path.sh

corpus=fau_aibo
protocol=mont_ohm
labels=5
label_sets="5 (anger, emphatic, neutral, positive, rest), 2 (NEG, IDL)"
language=de
transcriptions=   # a file with lines "chunk words...", where the release has one
partial=false     # true accepts a part of the corpus
own_options="[--transcriptions FILE] [--partial true]"
. ../common/options.sh

if run_stage 0 "corpus"; then local/check_release.sh "$db_root"; fi

if run_stage 1 "data folder"; then
  local/check_release.sh "$db_root"
  options=()
  [ -z "$transcriptions" ] || options+=(--transcriptions "$transcriptions")
  [ "$partial" = false ] || options+=(--partial)
  sertk-prepare-corpus "${options[@]}" fau_aibo "$db_root" "$data"
fi

. ../common/ser.sh
