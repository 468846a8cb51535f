#!/usr/bin/env bash
# Trains or decodes one (fold, seed): line JOB of a jobs file. Each step of the training leaves a marker.
set -euo pipefail
jobs=           # lines "fold seed"
num_threads=1   # CPU threads
ngpu=0
. ./path.sh
. utils/parse_options.sh
if [ $# -ne 6 ]; then
  echo "Usage: $0 [--num_threads N] [--ngpu N] --jobs FILE train|decode JOB EXP DATA SPLITS LABELS" >&2
  exit 1
fi
action=$1 job=$2 exp=$3 data=$4 splits=$5 labels=$6

line=$(sed -n "${job}p" "$jobs")
[ -n "$line" ] || { echo "$0: $jobs has no line $job" >&2; exit 1; }
read -r fold seed <<< "$line"
run=$exp/fold$fold/seed$seed
device=cpu; if [ "$ngpu" -gt 0 ]; then device=cuda; fi
options=(--data "$data" --splits "$splits" --fold "$fold" --labels "$labels" --device "$device" --num_threads "$num_threads")
steps=$(sertk-make-experiment --config "$exp/config.yaml" --print steps)

case $action in
  train)
    for step in $steps; do
      [ -e "$run/.done_$step" ] && continue
      sertk-train --config "$exp/config.yaml" --step "$step" --seed "$seed" "${options[@]}" "$run"
      touch "$run/.done_$step"
    done ;;
  decode)
    for step in $steps; do
      [ -e "$run/.done_$step" ] || { echo "$0: $run is not trained to its end; stage 3 goes on with it" >&2; exit 1; }
    done
    sertk-decode "${options[@]}" "$run" ;;
  *) echo "$0: $action: expected train or decode" >&2; exit 1 ;;
esac
