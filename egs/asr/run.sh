#!/usr/bin/env bash
# Speech recognition on LibriSpeech, TED-LIUM 2 and VoxForge: networks whose layers emotion recognisers take over.
#
# Stages: 0 get the corpora
#         1 data folders
#         2 features
#         3 tokens, training
#         4 decoding of the dev and test splits, error rates
# With --download true stage 0 downloads what the sets name (all: 110 GB); --CORPUS_root DIR takes a copy on disk.
# ./run.sh --help lists the options.
set -euo pipefail
. ./path.sh

stop_stage=4                    # last stage to run
model=deepspeech                # conf/MODEL.yaml
seed=1
num_nodes=1                     # of a training, on Slurm; each has --ngpu GPUs
train_sets="librispeech/train-clean-100 librispeech/train-clean-360 librispeech/train-other-500 tedlium/train voxforge"
dev_sets="librispeech/dev-clean tedlium/dev"
test_sets="librispeech/test-clean librispeech/test-other tedlium/test"   # empty: none
# shellcheck disable=SC2034
librispeech_root='' tedlium_root='' voxforge_root=''   # the releases, where they are on disk already
download=false                  # true: download what is not on disk
partial=false                   # true: accept incomplete corpora
min_seconds=1                   # shorter and longer utterances are left out
max_seconds=15
token_type=char                 # char: a to z, apostrophe, space; or bpe
vocab_size=                     # of bpe: the number of tokens, without the blank of CTC
print_exp=false                 # true: print the experiment's folder and run no stage
data=data                       # folder of the data folders train, dev and test, and of sets, what they are made of
. ../common/stages.sh

help_message="Usage: $0 [--stage N] [--stop_stage N] [--train_sets \"SET ...\"] [--dev_sets \"SET ...\"] [--test_sets \"SET ...\"]
       [--librispeech_root DIR] [--tedlium_root DIR] [--voxforge_root DIR] [--download true] [--partial true]
       [--min_seconds S] [--max_seconds S] [--token_type char|bpe] [--vocab_size N] [--data DIR] [--model NAME] [--seed N]
       [--nj N] [--num_nodes N] [--ngpu N] [--num_threads N] [--mem 8G]
       [--config FILE] [--set \"key=value ...\"] [--tag NAME] [--print_exp true]
models: $(list_names "$(basename -s .yaml conf/*.yaml)")
SET: librispeech/SUBSET, tedlium/SUBSET or voxforge; SUBSET is a folder of the release, such as train-clean-100"

. utils/parse_options.sh

check_stages 4
check_numbers 0 ngpu seed
check_numbers 1 nj num_threads num_nodes
check_memory
[[ $num_nodes -eq 1 || $cuda_cmd = *slurm.pl* ]] ||
  { echo "$0: --num_nodes $num_nodes: a training on several nodes needs Slurm (CMD_BACKEND=slurm)" >&2; exit 1; }
check_names token_type vocab_size tag model
[ -e "conf/$model.yaml" ] || { echo "$0: no conf/$model.yaml" >&2; exit 1; }
model_options=(--config "conf/$model.yaml" ${config:+--overlay "$config"} --set "$set")
words() { grep -oE '[^[:space:]]+' <<< "$1" || true; }
mapfile -t train < <(words "$train_sets")
mapfile -t dev < <(words "$dev_sets")
mapfile -t test < <(words "$test_sets")
for each in "${train[@]}" "${dev[@]}" "${test[@]}"; do
  [[ $each =~ ^((librispeech|tedlium)/[A-Za-z0-9._-]+|voxforge)$ ]] ||
    { echo "$0: $each: expected sets such as librispeech/train-clean-100, tedlium/train, voxforge" >&2; exit 1; }
done
[[ ${#train[@]} -gt 0 && ${#dev[@]} -gt 0 ]] || { echo "$0: --train_sets and --dev_sets must name a set each" >&2; exit 1; }
plan=$(sertk-make-experiment "${model_options[@]}" --plan)   # the line `tag NAME`, and `data feats/TYPE` for the features
[ "$print_exp" = true ] || check_gpu 3
[ -n "$tag" ] || tag=$(sed -n 's/^tag //p' <<< "$plan")
exp=exp/${model}_$token_type$vocab_size${tag:+_$tag}
if [ "$print_exp" = true ]; then echo "$exp"; exit; fi

get_corpus() {  # CORPUS
  local given=$1_root subsets
  mapfile -t subsets < <(printf '%s\n' "${train[@]}" "${dev[@]}" "${test[@]}" | sed -n "s|^$1/||p" | sort -u)
  if [ -n "${!given}" ]; then
    [ -d "${!given}" ] || { echo "$0: --$given ${!given}: no such folder" >&2; exit 1; }
    echo "$0: using ${!given}"
  elif [ "$download" = true ]; then
    "local/get_$1.sh" "downloads/$1" "${subsets[@]}"
  elif [ ! -d "downloads/$1" ]; then
    echo "$0: $1 is not there; pass --$given DIR, or --download true, or leave it out of the sets" >&2
    exit 1
  fi
}

prepare_set() {  # SET: $data/sets/CORPUS_PART, unless it was made with the same options
  local corpus=${1%%/*} folder=$data/sets/${1//\//_} given made options
  given=${corpus}_root
  options=(--min_seconds "$min_seconds" --max_seconds "$max_seconds")
  [ "$corpus" = "$1" ] || options+=(--subset "${1#*/}")
  [ "$partial" = false ] || options+=(--partial)
  options+=("$corpus" "${!given:-downloads/$corpus}")
  need "${!given:-downloads/$corpus}" 0
  made="${options[*]}"
  if [ -e "$folder/.made" ] && [ "$(cat "$folder/.made")" = "$made" ]; then
    echo "$0: $folder is there already; remove it to make it anew"
  else
    sertk-prepare-corpus --nj "$nj" "${options[@]}" "$folder"
    echo "$made" > "$folder/.made"
  fi
}

combine_sets() {  # NAME SET...: $data/NAME
  local name=$1 each folders=()
  for each in "${@:2}"; do
    prepare_set "$each"
    folders+=("$data/sets/${each//\//_}")
  done
  utils/combine_data.sh "$data/$name" "${folders[@]}"
  utils/validate_data_dir.sh --no-feats "$data/$name"
}

refuse_overlap() {  # NAME...: no recording may be in two of these
  local name shared
  shared=$(for name; do cut -d ' ' -f 2 "$data/$name/utt2hash" | sort -u; done | sort | uniq -d | wc -l)
  [ "$shared" -eq 0 ] ||
    { echo "$0: $shared recordings are in more than one of $data/{$(IFS=,; echo "$*")}; choose other sets" >&2; exit 1; }
}

if run_stage 0 "corpora"; then
  for corpus in $(printf '%s\n' "${train[@]}" "${dev[@]}" "${test[@]}" | cut -d / -f 1 | sort -u); do get_corpus "$corpus"; done
fi

if run_stage 1 "data folders"; then
  combine_sets train "${train[@]}"
  combine_sets dev "${dev[@]}"
  [ ${#test[@]} -eq 0 ] || combine_sets test "${test[@]}"
  refuse_overlap train dev ${test[0]:+test}
fi

device=cpu; if [ "$ngpu" -gt 0 ]; then device=cuda; fi
folders=("$data/train" "$data/dev"); [ ${#test[@]} -eq 0 ] || folders+=("$data/test")

if run_stage 2 "features"; then
  mapfile -t types < <(sed -n 's|^data feats/||p' <<< "$plan")
  for each in "${types[@]}"; do
    for folder in "${folders[@]}"; do
      need "$folder/wav.scp" 1
      utils/make_feats.sh --type "$each" --nj "$nj" --cmd "$train_cmd" "$folder"
    done
  done
fi

if run_stage 3 "training of $model into $exp"; then
  need "$data/train/text" 1
  sertk-make-tokens --token_type "$token_type" ${vocab_size:+--vocab_size "$vocab_size"} "$data/train" "$exp/tokens.model"
  echo "$0: follow it with: tail -f $exp/train.log"
  processes=$((ngpu > 1 ? ngpu : 1)) resources=() launch=()   # processes of each node
  if [ "$num_nodes" -gt 1 ]; then
    resources=(--num-nodes "$num_nodes")
    launch=(local/torchrun_nodes.sh --nproc_per_node "$processes" --no_python)
  elif [ "$processes" -gt 1 ]; then
    launch=(torchrun --standalone --nproc_per_node "$processes" --no_python)
  fi
  resources+=(--gpu "$ngpu" --num-threads "$((num_threads * processes))" ${mem:+--mem "$mem"})
  quote "${launch[@]}" sertk-train-asr "${model_options[@]}" --train "$data/train" --dev "$data/dev" --seed "$seed" \
    --device "$device" --num_threads "$num_threads" "$exp"
  $cuda_cmd "${resources[@]}" "$exp/log/train.log" "${quoted[@]}"
fi

if run_stage 4 "decoding"; then
  for folder in "${folders[@]:1}"; do
    quote sertk-decode-asr --data "$folder" --device "$device" --num_threads "$num_threads" "$exp"
    $decode_cmd --gpu "$((ngpu > 0))" --num-threads "$num_threads" "$exp/log/decode_${folder##*/}.log" "${quoted[@]}"
  done
  printf '%s\n' "config=$config" "set=$set" "train_sets=$train_sets" "dev_sets=$dev_sets" > "$exp/.done"
  echo "$0: see $exp/RESULTS.md"
fi
