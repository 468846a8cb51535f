# The options that all SER recipes share, sourced by run.sh after its own defaults.
# shellcheck shell=bash disable=SC2034,SC2154
stage=${stage:-0}               # first stage to run
stop_stage=${stop_stage:-5}     # last stage to run; 6 draws t-SNE figures, which takes minutes
model=${model:-blstm_capsule}   # conf/MODEL.yaml here, else in ../common/conf
language=${language:-en-us}     # of the texts, for counting phonemes: en-us or de
subset=${subset:-}              # part of the corpus, one of $subsets where the recipe has any; empty: the whole
db_root=${db_root:-}            # the corpus's release, where it is on disk already
folds=${folds:-}                # folds to train, such as "1 2"; empty: all
repeats=1                       # seeds per fold, or folds of a random split
seed=1                          # the first seed
compress=                       # true: compressed feature archives, a quarter of the size; empty: as they are
nj=$(nproc)                     # jobs for features
ngpu=$(if [ -n "${CUDA_VISIBLE_DEVICES+set}" ]; then tr ',' '\n' <<< "$CUDA_VISIBLE_DEVICES"; else nvidia-smi -L; fi 2>/dev/null |
  grep -cE '^(GPU|MIG-|[0-9])' || true)   # 0 trains on the CPU
num_threads=$(nproc)            # CPU threads of one training; as many train at a time as have theirs
config=                         # YAML laid over the model's own
set=                            # settings laid over both: "training.max_epochs=3 model.dropout=0.2"
tag=                            # name of the experiment beside the model's; derived from --config and --set
print_exp=false                 # true: print the experiment's folder and run no stage

list_names() { printf '%s\n' "$@" | sort -u | paste -sd ' '; }
models=$(list_names "$(basename -s .yaml ../common/conf/[a-z]*.yaml conf/[a-z]*.yaml | grep -vE '^(protocols|published)$')")
help_message="Usage: $0 [--stage N] [--stop_stage N] [--model NAME] [--protocol NAME] [--labels NAME] [--db_root DIR]
       [--folds \"1 2\"] [--repeats N] [--seed N] [--nj N] [--ngpu N] [--num_threads N] [--compress true]
       [--config FILE] [--set \"key=value ...\"] [--tag NAME] [--print_exp true] [--language en-us|de]${own_options:+ $own_options}
models:    $models
protocols: $(sertk-make-splits --config conf/protocols.yaml --list | paste -sd ' ')
labels:    ${label_sets:-}"

. utils/parse_options.sh
. ./cmd.sh

for option in stage stop_stage repeats seed nj ngpu num_threads; do
  least=0; case $option in repeats | nj | num_threads) least=1 ;; esac
  [[ ${!option} =~ ^(0|[1-9][0-9]{0,8})$ && ${!option} -ge $least ]] ||
    { echo "$0: --$option ${!option}: expected a whole number from $least" >&2; exit 1; }
done
# They become parts of paths and of shell commands.
for option in model protocol labels subset tag; do
  [[ ${!option} =~ ^[A-Za-z0-9._-]*$ ]] || { echo "$0: --$option ${!option}: letters, digits, . _ - only" >&2; exit 1; }
done
[[ $folds =~ ^[0-9\ ]*$ ]] || { echo "$0: --folds $folds: expected numbers such as \"1 2\"" >&2; exit 1; }

[ "$print_exp" = false ] || stage=$((stop_stage + 1))   # so that none is run
[ "$subset" != complete ] || subset=
[[ -z $subset || " ${subsets:-} " = *" $subset "* ]] ||
  { echo "$0: --subset $subset: expected one of complete${subsets:+ $subsets}" >&2; exit 1; }
whole=data/$corpus                # the data folder of the corpus
data=$whole${subset:+_$subset}    # and that of the part of it which is used
run_stage() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ] && echo "$0: stage $1: $2"; }
need_corpus() {  # DEFAULT: sets db_root to where stage 0 puts the corpus, unless it was given
  if [ -z "$db_root" ]; then
    need "$1" 0
    db_root=$1
  elif [ ! -d "$db_root" ]; then
    echo "$0: --db_root $db_root: no such folder" >&2
    exit 1
  fi
}
need() { [ -e "$1" ] || { echo "$0: $1 is missing; stage $2 makes it" >&2; exit 1; }; }
