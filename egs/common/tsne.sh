#!/usr/bin/env bash
# Draws layers of a trained network in the plane, by t-SNE: the output layer for the training and the test part,
# and what each convolutional capsule gives for the test part (Jalal et al. 2019, Figs. 3 and 2).
set -euo pipefail
num_threads=1   # CPU threads
ngpu=0
. ./path.sh
. utils/parse_options.sh
if [ $# -ne 5 ]; then
  echo "Usage: $0 [--num_threads N] [--ngpu N] RUN DATA SPLITS FOLD LABELS" >&2
  exit 1
fi
run=$1 data=$2 splits=$3 fold=$4 labels=$5
device=cpu; if [ "$ngpu" -gt 0 ]; then device=cuda; fi

extract() {  # LAYER PART
  sertk-extract --layer "$1" --data "$data" --splits "$splits" --fold "$fold" --labels "$labels" --part "$2" \
    --device "$device" --num_threads "$num_threads" "$run" "ark,scp:$run/layers/$1_$2.ark,$run/layers/$1_$2.scp"
}
draw() {  # LAYER OPTION...
  local picture=$run/layers/tsne_$1
  shift
  sertk-plot tsne --out "$picture.png" --out "$picture.svg" "$@"
  echo "$0: $picture.png, $picture.svg"
}

mkdir -p "$run/layers"
extract output train
extract output test
draw output --utt2label "$data/labels/$labels" "train=scp:$run/layers/output_train.scp" "test=scp:$run/layers/output_test.scp"
layers=$(sertk-extract --list "$run")
if grep -qx lower <<< "$layers"; then
  extract lower test
  draw lower --by row "test=scp:$run/layers/lower_test.scp"
fi
