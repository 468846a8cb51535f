# The stages all SER recipes share, sourced by run.sh after its corpus's own stages 0 and 1.
# shellcheck shell=bash disable=SC2154
model_config=conf/$model.yaml
[ -e "$model_config" ] || model_config=../common/conf/$model.yaml
[ -e "$model_config" ] || { echo "$0: no model $model (there are: $models)" >&2; exit 1; }
read -r -a settings <<< "$set"
model_options=(--config "$model_config" ${config:+--overlay "$config"} --set "${settings[@]}")
[ -n "$tag" ] || tag=$(sertk-make-experiment "${model_options[@]}" --print tag)
splits=$data/splits/$protocol
exp=exp/$corpus${subset:+_$subset}_${labels}_$protocol/$model${tag:+_$tag}

make_splits() {
  sertk-make-splits --protocol "$protocol" --config conf/protocols.yaml --repeats "$repeats" --seed "$seed" "$data" "$splits"
}

make_features() {  # the archives that the model needs and the data folder lacks
  for type in $(sertk-make-experiment "${model_options[@]}" --print features); do
    [ -e "$data/feats/$type.scp" ] || utils/make_feats.sh --type "$type" --nj "$nj" --cmd "$train_cmd" "$data"
  done
}

if run_stage 1 "fold lists and features"; then
  need "$data/utt2spk" 1
  utils/validate_data_dir.sh --no-feats "$data"
  make_splits
  make_features
fi

if run_stage 2 "ASR pretraining"; then
  echo "$0: $model needs none"
fi

if run_stage 3 "training of $model into $exp"; then
  need "$data/utt2spk" 1
  make_splits
  make_features
  # shellcheck disable=SC2086
  sertk-make-experiment "${model_options[@]}" --data "$data" --splits "$splits" --labels "$labels" \
    --corpus "$corpus${subset:+_$subset}" --folds $folds --repeats "$repeats" --seed "$seed" -- "$exp"
  if [ "$ngpu" -gt 0 ]; then resources=(--gpu 1); else resources=(--max-jobs-run $(($(nproc) / num_threads))); fi
  $cuda_cmd "${resources[@]}" --num-threads "$num_threads" JOB=1:"$(wc -l < "$exp/jobs.txt")" "$exp/log/train.JOB.log" \
    ../common/fold.sh --num_threads "$num_threads" --ngpu "$ngpu" train JOB "$exp" "$data" "$splits" "$labels"
fi

if run_stage 4 "decoding"; then
  need "$exp/jobs.txt" 3
  $decode_cmd --max-jobs-run 1 JOB=1:"$(wc -l < "$exp/jobs.txt")" "$exp/log/decode.JOB.log" \
    ../common/fold.sh --ngpu "$ngpu" decode JOB "$exp" "$data" "$splits" "$labels"
fi

if run_stage 5 "scoring"; then
  need "$exp/card.yaml" 3
  sertk-score "$exp"
fi
