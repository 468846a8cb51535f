#!/usr/bin/env bash
# Speech emotion recognition on recordings of one's own, from a CSV or TSV file to a results table.
#
# Stages: 0 look for the file       3 train every fold and repeat of --model
#         1 data folder, features   4 decode the test splits
#         2 encoder and its layers  5 score; 6 t-SNE figures, with --stop_stage 6
# ./run.sh --csv FILE runs everything; README.md says what the file holds. ./run.sh --help lists the options.
set -euo pipefail
. ./path.sh

corpus=           # names the data folder and the experiments; empty: the file's name without suffix
protocol=
labels=emotion
label_sets="emotion (the column label), NAME (a column label:NAME)"
csv=              # the file
partial=false     # true leaves out recordings that are missing, unreadable or too short
columns=          # columns of other names: "speaker=spk_id label=emotion"
own_options="--csv FILE [--columns \"ROLE=COLUMN ...\"] [--corpus NAME] [--partial true]"
. ../common/options.sh

[ -n "$csv" ] || { echo "$0: --csv FILE is needed: which recordings?" >&2; exit 1; }
[ -z "$db_root" ] || { echo "$0: --db_root: recordings of one's own are named by --csv alone" >&2; exit 1; }
check_names corpus
if [ -z "$corpus" ]; then
  corpus=$(basename "${csv%.*}")
  corpus=${corpus//[^A-Za-z0-9._-]/_}
fi
whole=data/$corpus data=$whole

if run_stage 0 "corpus"; then
  [ -f "$csv" ] || { echo "$0: --csv $csv: no such file" >&2; exit 1; }
fi

if run_stage 1 "data folder"; then
  types=()   # of the features that recordings have to be long enough for
  while read -r type; do
    [ ! -e "conf/feats/$type.yaml" ] || type=conf/feats/$type.yaml
    types+=("$type")
  done < <(sed -n 's|^data feats/||p' <<< "$plan")
  options=(--feats "${types[*]}")
  [ "$partial" = false ] || options+=(--partial)
  sertk-prepare-corpus "${options[@]}" --columns "$columns" csv "$csv" "$whole"
fi

if [ -z "$protocol" ]; then
  need "$whole/utt2spk" 1
  protocol=$(python3 local/choose_protocol.py "$whole")
fi

. ../common/ser.sh
