# The options that all SER recipes share, sourced by run.sh after its own defaults.
# shellcheck shell=bash disable=SC2034,SC2154
# shellcheck source=stages.sh
. ../common/stages.sh
stop_stage=${stop_stage:-5}     # last stage to run; 6 draws t-SNE figures, which takes minutes
model=${model:-blstm_capsule}   # conf/MODEL.yaml here, else in ../common/conf
language=${language:-en-us}     # of the texts, for counting phonemes: en-us or de
subset=${subset:-}              # part of the corpus, one of $subsets where the recipe has any; empty: the whole
db_root=${db_root:-}            # the corpus's release, where it is on disk already
folds=${folds:-}                # folds to train, such as "1 2"; empty: all
repeats=1                       # seeds per fold, or folds of a random split
seed=1                          # the first seed
asr_exp=                        # a trained speech recogniser, for models that take its layers; empty: stage 2 trains one
# What stage 2 trains, with the names and values of ../asr/run.sh
asr_model=${asr_model:-deepspeech} asr_config='' asr_set=${asr_set:-} asr_tag=${asr_tag:-} asr_data=${asr_data:-}
asr_train_sets=${asr_train_sets:-} asr_dev_sets=${asr_dev_sets:-} asr_test_sets=${asr_test_sets:-}
asr_download=false asr_partial=${asr_partial:-}
librispeech_root=${librispeech_root:-} tedlium_root='' voxforge_root=''
compress=                       # true: compressed feature archives, a quarter of the size; empty: as they are
print_exp=false                 # true: print the experiment's folder and run no stage

protocols=$(sertk-make-splits --config conf/protocols.yaml --list | paste -sd ' ')
models=$(list_names "$(basename -s .yaml ../common/conf/[a-z]*.yaml conf/[a-z]*.yaml | grep -vE '^(protocols|published)$')")
help_message="Usage: $0 [--stage N] [--stop_stage N] [--model NAME] [--protocol NAME] [--labels NAME] [--db_root DIR]
       [--folds \"1 2\"] [--repeats N] [--seed N] [--nj N] [--ngpu N] [--num_threads N] [--mem 8G]
       [--compress true] [--config FILE] [--set \"key=value ...\"] [--tag NAME] [--print_exp true] [--language en-us|de]${own_options:+ $own_options}
       [--asr_exp DIR], or for stage 2 --asr_{model,config,set,tag,data,train_sets,dev_sets,test_sets,partial,download} as
       ../asr/run.sh has them, [--librispeech_root DIR] [--tedlium_root DIR] [--voxforge_root DIR]
models:    $models (default: $model)
protocols: $protocols${protocol:+ (default: $protocol)}
labels:    ${label_sets:-}${labels:+ (default: $labels)}

Stages: 0 corpus, 1 data folder and features, 2 the encoder and its layers where the model takes some, 3 training, 4 decoding,
5 scoring, 6 t-SNE figures; from --stage (default: $stage) to --stop_stage ($stop_stage). The README has a line for each option."

. utils/parse_options.sh

check_stages 6
check_numbers 0 seed ngpu
check_numbers 1 repeats nj num_threads
check_memory
check_names model protocol labels subset tag asr_model asr_tag
[[ $folds =~ ^[0-9\ ]*$ ]] || { echo "$0: --folds $folds: expected numbers such as \"1 2\"" >&2; exit 1; }

[ "$print_exp" = false ] || stage=$((stop_stage + 1))   # so that none is run
[ "$subset" != complete ] || subset=
[[ -z $subset || " ${subsets:-} " = *" $subset "* ]] ||
  { echo "$0: --subset $subset: expected one of complete${subsets:+ $subsets}" >&2; exit 1; }
[[ $compress =~ ^(true|false|)$ ]] || { echo "$0: --compress $compress: expected true or false" >&2; exit 1; }
[[ $language =~ ^(en-us|de)$ ]] || { echo "$0: --language $language: expected en-us or de" >&2; exit 1; }
[[ -z $protocol || " $protocols " = *" $protocol "* ]] ||
  { echo "$0: no protocol '$protocol' (there are: $protocols)" >&2; exit 1; }

# shellcheck source=../common/plan.sh
. ../common/plan.sh
whole=data/$corpus                # the data folder of the corpus
data=$whole${subset:+_$subset}    # and that of the part of it which is used
need_corpus() {  # DEFAULT: sets db_root to where stage 0 puts the corpus, unless it was given
  if [ -z "$db_root" ]; then
    need "$1" 0
    db_root=$1
  elif [ ! -d "$db_root" ]; then
    echo "$0: --db_root $db_root: no such folder" >&2
    exit 1
  fi
}
