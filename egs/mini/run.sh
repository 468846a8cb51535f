#!/usr/bin/env bash
# The demonstration: emotions acted by a speech synthesiser, from nothing to a results table in minutes.
#
# Stages: 0 synthesise the corpus   3 train every fold and repeat of --model
#         1 data folder, features   4 decode the test splits
#         2 encoder and its layers  5 score; 6 t-SNE figures, with --stop_stage 6
# ./run.sh --help lists the options. The scores say nothing about recognising emotions in human speech.
set -euo pipefail
. ./path.sh

corpus=mini
protocol=mini
labels=4
label_sets="4 (angry, happy, neutral, sad)"
# Stage 2's recogniser: a small network that learns digits from other synthetic voices
# shellcheck disable=SC2034
asr_model=small asr_tag=mini asr_data=data/mini librispeech_root=downloads/mini_asr asr_set="training.max_epochs=12"
# shellcheck disable=SC2034
asr_train_sets=librispeech/train-mini asr_dev_sets=librispeech/dev-mini asr_test_sets=librispeech/test-mini asr_partial=true
. ../common/options.sh

if run_stage 0 "corpus"; then
  if [ -n "$db_root" ]; then echo "$0: using $db_root"; else local/synthesise.sh downloads/mini; fi
fi

if run_stage 1 "data folder"; then
  need_corpus downloads/mini
  sertk-prepare-corpus mini "$db_root" "$data"
fi

make_asr_corpus() { [ -d "$librispeech_root" ] || sertk-synthesise-mini --asr 40 "$librispeech_root"; }

. ../common/ser.sh
