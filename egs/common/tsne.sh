#!/usr/bin/env bash
# Draws layers of a trained network in the plane, by t-SNE: the output layer for the training and the test split,
# what each convolutional capsule gives for the test split (Jalal et al. 2019, Figs. 3 and 2), and, averaged over
# frames, each layer of a speech recogniser that the network builds on (Lakomkin et al. 2017, Fig. 4).
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
pretrained=$(dirname "$(dirname "$run")")/asr   # the experiment's copy, where it has one

extract() {  # LAYER SPLIT
  sertk-extract --layer "$1" --split "$2" --device "$device" --num_threads "$num_threads" \
    "$run" "ark,scp:$run/layers/$1_$2.ark,$run/layers/$1_$2.scp"
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
if [ -e "$pretrained" ]; then
  tested=$(mktemp -d)   # a data folder of the test split
  trap 'rm -rf "$tested"' EXIT
  filter_scp.pl "$splits/fold$fold/test" "$data/labels/$labels" > "$tested/list"
  utils/subset_data_dir.sh --utt-list "$tested/list" "$data" "$tested/data"
  segments=()
  [ ! -e "$tested/data/segments" ] || segments=(--segments "$tested/data/segments")
  sertk-extract --encoder "$pretrained" --pool mean "${segments[@]}" --device "$device" --num_threads "$num_threads" \
    "scp:$tested/data/wav.scp" "ark,scp:$run/layers/asr_gru{layer}_test.ark,$run/layers/asr_gru{layer}_test.scp"
  for layer in $(sertk-extract --encoder "$pretrained" --list --device cpu); do
    draw "asr_gru$layer" --utt2label "$tested/data/labels/$labels" "gru$layer=scp:$run/layers/asr_gru${layer}_test.scp"
  done
fi
