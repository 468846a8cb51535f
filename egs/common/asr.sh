# The speech recogniser of models that take its layers, sourced by ser.sh: sets asr_exp, stage 2's `pretrain`, and
# stage 3's `need_pretrained`.
# shellcheck shell=bash disable=SC2154
asr_given=$asr_exp
asr_options=(--model "$asr_model" --nj "$nj" --ngpu "$ngpu" --num_threads "$num_threads" --download "$asr_download")
[ -z "$asr_config" ] || asr_config=$(realpath "$asr_config")
for each in config set tag train_sets dev_sets test_sets partial; do
  own=asr_$each
  [ -z "${!own}" ] || asr_options+=("--$each" "${!own}")
done
for each in librispeech tedlium voxforge; do
  root=${each}_root
  [ -z "${!root}" ] || asr_options+=("--$root" "$(realpath -m "${!root}")")
done
[ -z "$asr_data" ] || asr_options+=(--data "$asr_data")

run_asr() { (cd ../asr && ./run.sh "${asr_options[@]}" "$@"); }
[ -n "$asr_exp" ] || asr_exp=../asr/$(run_asr --print_exp true)

need_pretrained() {
  if [ -n "$asr_given" ]; then
    need "$asr_exp/checkpoints/best.pt" "3 of egs/asr/run.sh"
  else
    need "$asr_exp/.done" 2   # best.pt is there before training ends
  fi
}

pretrain() (
  if [ -n "$asr_given" ]; then need_pretrained; exit; fi
  mkdir -p "$asr_exp"
  exec 8>> "$asr_exp/.pretraining"
  flock -n 8 || { echo "$0: waiting for another recipe that trains $asr_exp"; flock 8; }
  if [ -e "$asr_exp/.done" ]; then
    for each in config set train_sets dev_sets; do
      own=asr_$each
      [ -z "${!own}" ] || grep -qxF "$each=${!own}" "$asr_exp/.done" || { echo "$0: $asr_exp was trained with" \
        "another --$own; give an --asr_tag, or remove the folder" >&2; exit 1; }
    done
    echo "$0: $asr_exp is trained already"
  else
    if declare -F make_asr_corpus > /dev/null; then make_asr_corpus; fi
    run_asr || { echo "$0: no speech recogniser yet; --download there is --asr_download here, and" \
      "--asr_exp DIR takes one that is trained already" >&2; exit 1; }
  fi
)
