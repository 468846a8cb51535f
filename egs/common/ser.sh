# The stages all SER recipes share, sourced by run.sh after its corpus's own stages 0 and 1.
# shellcheck shell=bash disable=SC2154
model_config=conf/$model.yaml
[ -e "$model_config" ] || model_config=../common/conf/$model.yaml
[ -e "$model_config" ] || { echo "$0: no model $model (there are: $models)" >&2; exit 1; }
model_options=(--config "$model_config" ${config:+--overlay "$config"} --set "$set")
plan=$(sertk-make-experiment "${model_options[@]}" --plan)   # the line `tag NAME`, and `data NAME` for all that is needed
[ -n "$tag" ] || tag=$(sed -n 's/^tag //p' <<< "$plan")
asr_layers=$(grep '^data asr:' <<< "$plan" || true)   # that the model takes
if [ -n "$asr_layers" ]; then
  [ -z "$asr_exp" ] || tag=${tag:+${tag}_}$(basename "$asr_exp" | tr -c 'A-Za-z0-9._\n-' -)
  . ../common/asr.sh
fi
splits=$data/splits/$protocol
exp=exp/$corpus${subset:+_$subset}_${labels}_$protocol/$model${tag:+_$tag}
if [ "$print_exp" = true ]; then echo "$exp"; exit; fi
# The folds and seeds of this call, which may run beside other calls for the same experiment.
selection=folds_${folds:-all}_seeds_$seed-$((seed + repeats - 1))
jobs=$exp/jobs/${selection// /-}.txt

make_subset() {  # $data, from $whole and with its features
  [ -n "$subset" ] || return 0
  grep -q " $subset\$" "$whole/utt2subset" || { echo "$0: $whole has no utterance that is $subset" >&2; exit 1; }
  flock "$whole" utils/subset_data_dir.sh --utt-list <(grep " $subset\$" "$whole/utt2subset") "$whole" "$data"
  [ ! -e "$whole/.num_phones.json" ] || cp "$whole/.num_phones.json" "$data"   # what its counts come from
}

make_splits() {
  sertk-make-splits --protocol "$protocol" --config conf/protocols.yaml --repeats "$repeats" "$data" "$splits"
}

make_features() {  # [--asr_exp DIR]: archives and tables that the model needs and $whole lacks; subsets take theirs from there
  local needed each type own
  if [ $# -eq 0 ]; then needed=$plan; else needed=$(sertk-make-experiment "${model_options[@]}" "$@" --plan); fi
  needed=$(sed -n 's/^data //p' <<< "$needed")
  for each in $needed; do
    type=${each#*feats/}
    case $each in
      feats/*)
        own=conf/feats/$type.yaml; [ -e "$own" ] || own=
        utils/make_feats.sh --type "$type" --feats_config "$own" --compress "$compress" --nj "$nj" --cmd "$train_cmd" "$whole" ;;
      asr:*=feats/*)
        utils/make_feats.sh --type "$type" --layer "${each%%=*}" --asr_exp "$asr_exp" --device "$device" \
          --num_threads "$num_threads" --cmd "$cuda_cmd ${resources[*]} --num-threads $num_threads" "$whole" ;;
      asr:*) ;;   # of a recogniser that stage 2 will bring, or that runs in the loop
      utt2num_words | utt2num_phones)
        flock "$whole" sertk-count-phones --language "$language" "$whole"
        [ -e "$whole/$each" ] || { echo "$0: $whole has no text, and so no $each" >&2; exit 1; } ;;
      *) need "$whole/$each" 1 ;;
    esac
  done
  make_subset
}

list_jobs() {  # the folds and seeds of this call, into the jobs file
  mkdir -p "${jobs%/*}"
  sertk-jobs --folds "$folds" --repeats "$repeats" --seed "$seed" "$exp" > "$jobs.$$"
  mv "$jobs.$$" "$jobs"
}

run_jobs() {  # ACTION COMMAND OPTION...: sertk-ACTION for every line of the jobs file
  local action=$1 command=$2 log=$exp/log/$1_${selection// /-}
  shift 2
  $command "$@" --num-threads "$num_threads" JOB=1:"$(wc -l < "$jobs")" "$log.JOB.log" \
    "sertk-$action" --jobs "$jobs" --job JOB --device "$device" --num_threads "$num_threads" "$exp"
}

# One GPU for each job, or as many CPU jobs at a time as have their threads. A cluster minds its limits itself.
resources=(${mem:+--mem "$mem"})
device=cpu
[ "$ngpu" -eq 0 ] || { resources+=(--gpu 1); device=cuda; }
if [ "$on_this_machine" = true ]; then
  at_once=$((num_threads < $(nproc) ? $(nproc) / num_threads : 1))
  [ "$ngpu" -eq 0 ] || at_once=$ngpu
  resources+=(--max-jobs-run "$at_once")
fi

if run_stage 1 "fold lists and features"; then
  need "$whole/utt2spk" 1
  utils/validate_data_dir.sh --no-feats --no-text "$whole"
  make_subset
  make_splits
  make_features
fi

if run_stage 2 "ASR pretraining"; then
  if [ -z "$asr_layers" ]; then
    echo "$0: $model needs none"
  else
    pretrain
    make_features --asr_exp "$asr_exp"
  fi
fi

if run_stage 3 "training of $model into $exp"; then
  need "$whole/utt2spk" 1
  [ -z "$asr_layers" ] || need_pretrained
  make_subset
  make_splits
  for fold in $folds; do
    [ -d "$splits/fold$fold" ] || { echo "$0: --folds $folds: $splits has no fold $fold" >&2; exit 1; }
  done
  make_features ${asr_layers:+--asr_exp "$asr_exp"}
  sertk-make-experiment "${model_options[@]}" ${asr_layers:+--asr_exp "$asr_exp"} \
    --data "$data" --splits "$splits" --labels "$labels" --corpus "$corpus" --subset "$subset" "$exp"
  list_jobs
  echo "$0: follow it with: tail -f $exp/fold*/seed*/train.log"
  run_jobs train "$cuda_cmd" "${resources[@]}"
fi

if run_stage 4 "decoding"; then
  need "$exp/card.yaml" 3
  list_jobs
  run_jobs decode "$decode_cmd" "${resources[@]}"
fi

if run_stage 5 "scoring"; then
  need "$exp/card.yaml" 3
  sertk-score "$exp"
fi

if run_stage 6 "t-SNE figures of the first fold and seed"; then
  need "$exp/card.yaml" 3
  list_jobs
  read -r fold seed _ < "$jobs"
  ../common/tsne.sh --num_threads "$num_threads" --ngpu "$ngpu" "$exp/fold$fold/seed$seed" "$data" "$splits" "$fold" "$labels"
fi
