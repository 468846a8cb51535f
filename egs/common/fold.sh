#!/usr/bin/env bash
# Trains or decodes one (fold, seed): the JOB-th line of EXP/jobs.txt. Each step of the training leaves a marker.
set -euo pipefail
num_threads=0   # CPU threads; 0: all cores
ngpu=0
. ./path.sh
. utils/parse_options.sh
if [ $# -ne 6 ]; then
  echo "Usage: $0 [--num_threads N] [--ngpu N] train|decode JOB EXP DATA SPLITS LABELS" >&2
  exit 1
fi
action=$1 job=$2 exp=$3 data=$4 splits=$5 labels=$6

line=$(sed -n "${job}p" "$exp/jobs.txt")
[ -n "$line" ] || { echo "$0: $exp/jobs.txt has no line $job" >&2; exit 1; }
read -r fold seed <<< "$line"
run=$exp/fold$fold/seed$seed
device=cpu; if [ "$ngpu" -gt 0 ]; then device=cuda; fi
options=(--data "$data" --splits "$splits" --fold "$fold" --labels "$labels" --device "$device" --num_threads "$num_threads")

case $action in
  train)
    for step in $(sertk-make-experiment --config "$exp/config.yaml" --print steps); do
      [ -e "$run/.done_$step" ] && continue
      sertk-train --config "$exp/config.yaml" --step "$step" --seed "$seed" "${options[@]}" "$run"
      touch "$run/.done_$step"
    done ;;
  decode) sertk-decode "${options[@]}" "$run" ;;
  *) echo "$0: $action: expected train or decode" >&2; exit 1 ;;
esac
