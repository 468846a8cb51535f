# The stages all SER recipes share, sourced by run.sh after its corpus's own stages 0 and 1.
# shellcheck shell=bash disable=SC2154
[ -n "$tag" ] || tag=$(sed -n 's/^tag //p' <<< "$plan")
recogniser=   # the encoder, where it is ours
if [ "$encoder" = recogniser ]; then
  recogniser=true
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
  sertk-make-splits --protocol "$protocol" --config conf/protocols.yaml --repeats "$repeats" \
    --labels "$labels" --folds "$folds" "$data" "$splits"
}

make_features() {  # archives and tables that the model needs and $whole lacks; subsets take theirs from there
  local needed each type own
  needed=$(sed -n 's/^data //p' <<< "$plan")
  for each in $needed; do
    type=${each#feats/}
    case $each in
      feats/*)
        own=conf/feats/$type.yaml; [ -e "$own" ] || own=
        utils/make_feats.sh --type "$type" --feats_config "$own" --compress "$compress" --nj "$nj" --cmd "$train_cmd" "$whole" ;;
      utt2num_words | utt2num_phones)
        flock "$whole" sertk-count-phones --language "$language" "$whole"
        [ -e "$whole/$each" ] || { echo "$0: $whole has no text, and so no $each" >&2; exit 1; } ;;
      *) need "$whole/$each" 1 ;;
    esac
  done
  make_subset
}

make_layers() {  # archives of the encoder's layers that $whole lacks; the encoder is there
  local layers pool type source=$encoder jobs=$nj command=$train_cmd
  [ -z "$recogniser" ] || source=$asr_exp
  read -r _ layers pool type <<< "$(sertk-make-experiment "${model_options[@]}" --plan --with_encoder \
    ${recogniser:+--asr_exp "$asr_exp"} | grep '^layers ' || true)"
  if [ -n "$layers" ]; then   # it does not run in the loop
    [ "$ngpu" -eq 0 ] || { jobs=$ngpu; command="$cuda_cmd ${mem:+--mem $mem} --gpu 1"; }
    utils/make_layers.sh --encoder "$source" --layers "$layers" --pool "$pool" \
      --type "$type" --nj "$jobs" --cmd "$command" --device "$device" "$whole"
    make_subset
  fi
}

list_jobs() {  # the folds and seeds of this call, into the jobs file
  mkdir -p "${jobs%/*}"
  sertk-jobs --folds "$folds" --repeats "$repeats" --seed "$seed" "$exp" > "$jobs.$$"
  mv "$jobs.$$" "$jobs"
}

run_jobs() {  # ACTION COMMAND OPTION...: sertk-ACTION for every line of the jobs file
  local action=$1 command=$2 log=$exp/log/$1_${selection// /-} JOB
  JOB=$(job_name "$exp")   # in which the jobs file and the logs are
  shift 2
  $command "$@" --num-threads "$num_threads" "$JOB=1:$(wc -l < "$jobs")" "$log.$JOB.log" \
    "sertk-$action" --jobs "$jobs" --job "$JOB" --device "$device" --num_threads "$num_threads" "$exp"
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

if run_stage 2 "the encoder and its layers"; then
  if [ -z "$encoder" ]; then
    echo "$0: $model needs none"
  else
    need "$whole/utt2spk" 1
    [ -z "$recogniser" ] || pretrain
    make_layers
  fi
fi

if run_stage 3 "training of $model into $exp"; then
  need "$whole/utt2spk" 1
  [ -z "$recogniser" ] || need_pretrained
  make_subset
  make_splits
  make_features
  [ -z "$encoder" ] || make_layers
  sertk-make-experiment "${model_options[@]}" ${recogniser:+--asr_exp "$asr_exp"} \
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
