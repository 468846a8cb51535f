#!/usr/bin/env bash
# How many latent dims an autoencoder should have (Latif et al. 2018, Fig. 2): trains the system with each number
# and draws the scores.
set -euo pipefail
sizes="32 64 128 256 512"   # latent dims
model=vae_lstm              # ae_lstm, vae_lstm, cvae_lstm, cvae_lstm_predicted or cvae_lstm_oracle
metric=uar                  # drawn beside the recalls
set=                        # further settings of all networks
tag=latent                  # of the experiments, before the size
other_options=(--stage 3)
help_message="Usage: $0 [--sizes \"32 64 ...\"] [--model NAME] [--metric NAME] [--set \"key=value ...\"] [--tag NAME]
       [OPTION...]
OPTION are those of ./run.sh --help, such as --protocol, --labels and --folds. What is trained already is not
trained again; with --stage 5 nothing is, and the picture is drawn."
# shellcheck disable=SC1091
{
  . ./path.sh
  . utils/parse_options.sh
}

[ $# -eq 0 ] || { echo "$0: $1: expected options alone; see --help" >&2; exit 1; }
[[ $sizes =~ ^[1-9][0-9]*(\ [1-9][0-9]*)+$ ]] ||
  { echo "$0: --sizes $sizes: expected two whole numbers or more, such as \"32 64\"" >&2; exit 1; }
case $model in
  ae_lstm | vae_lstm | cvae_lstm | cvae_lstm_predicted | cvae_lstm_oracle) part=${model%%_*} ;;
  *) echo "$0: --model $model: expected ae_lstm, vae_lstm, cvae_lstm, cvae_lstm_predicted or cvae_lstm_oracle" >&2; exit 1 ;;
esac
key=steps.$part.model.latent
other_options+=(--model "$model")

exp=$(./run.sh "${other_options[@]}" --tag "$tag" --print_exp true)
experiments=()
for size in $sizes; do
  ./run.sh "${other_options[@]}" --tag "$tag$size" --set "$key=$size $set"
  experiments+=("$exp$size")
done
picture=${exp%/*}_${exp##*/}_sizes
sertk-plot sweep --key "$key" --metric "$metric" --out "$picture.png" --out "$picture.svg" "${experiments[@]}"
echo "$0: $picture.png, $picture.svg"
