#!/usr/bin/env bash
# Which shape the filters of the first layer should have (Li et al. 2018, Fig. 2): trains that layer
# alone, 16 filters of one shape, with global average pooling and softmax, for each height and each width, and
# draws the scores by height and by width.
set -euo pipefail
heights="2 4 6 8 10 20 40 60 80 100"   # frequency bins, of filters 2 frames wide; empty: none
widths="2 4 8 16 32 60 80"             # frames, of filters 2 bins high; empty: none
metric=uar                             # drawn beside the recalls
set=                                   # further settings of all networks
tag=conv1                              # of the experiments, before _HEIGHTxWIDTH
other_options=(--stage 3 --model cnn_gap)
help_message="Usage: $0 [--heights \"2 10 ...\"] [--widths \"2 8 ...\"] [--metric NAME]
       [--set \"key=value ...\"] [--tag NAME] [OPTION...]
OPTION are those of ./run.sh --help, such as --protocol, --labels and --folds. What is trained already is not
trained again; with --stage 5 nothing is, and the pictures are drawn."
# shellcheck disable=SC1091
{
  . ./path.sh
  . utils/parse_options.sh
}

[ $# -eq 0 ] || { echo "$0: $1: expected options alone; see --help" >&2; exit 1; }
for option in heights widths; do
  [[ ${!option} =~ ^([1-9][0-9]*(\ [1-9][0-9]*)+)?$ ]] || {
    echo "$0: --$option ${!option}: expected two whole numbers or more, such as \"2 10\", or none" >&2
    exit 1
  }
done
read -ra by_height <<< "$heights"
read -ra by_width <<< "$widths"
by_height=("${by_height[@]/%/x2}") by_width=("${by_width[@]/#/2x}")

draw() {  # NAME SHAPE...: the experiments of these shapes by model.NAME
  local name=$1 picture=${exp%/*}_${exp##*/}_$1
  shift
  [ $# -gt 0 ] || return 0
  sertk-plot sweep --key "model.$name" --metric "$metric" --out "$picture.png" --out "$picture.svg" \
    "${@/#/${exp}_}"
  echo "$0: $picture.png, $picture.svg"
}

exp=$(./run.sh "${other_options[@]}" --tag "$tag" --print_exp true)
for shape in $(printf '%s\n' "${by_height[@]}" "${by_width[@]}" | sort -uV); do
  ./run.sh "${other_options[@]}" --tag "${tag}_$shape" --set \
    "model.heights=[${shape%x*}] model.widths=[${shape#*x}] model.filters=[16] model.channels=[] $set"
done
draw heights "${by_height[@]}"
draw widths "${by_width[@]}"
