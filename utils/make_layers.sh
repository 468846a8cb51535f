#!/usr/bin/env bash
# Makes DIR/feats/TYPE.scp and its archives of layers of a pretrained encoder from DIR/wav.scp (and DIR/segments), all
# layers in one pass. Tables that are up to date are left alone. What is cut off goes on with the pieces that lack.
set -euo pipefail

encoder=
layers=
type=
pool=none
nj=4
cmd=run.pl
piece=500
device=cpu
num_threads=1

help_message="usage: utils/make_layers.sh --encoder NAME --layers LIST --type TYPE [options] DIR
example: utils/make_layers.sh --encoder whisper_base --layers 2,3 --type whisper_base_{layer} data/ravdess
  --encoder NAME     an encoder in the cache (sertk-get-encoder), or the experiment folder of a speech recogniser
  --layers LIST      numbers with commas between them
  --type TYPE        the feature types' name, with {layer} where the number belongs
  --pool meanstd     mean and standard deviation over time take the place of the frames; mean: the mean alone
  --nj N             jobs at a time (default: 4)
  --cmd COMMAND      how to run them (default: run.pl)
  --piece N          utterances that a job encodes, at most (default: 500)
  --device NAME      cpu or cuda (default: cpu)
  --num_threads N    CPU threads of a job (default: 1)"

echo "$0$(printf ' %q' "$@")"
utils=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH=$utils:$PATH
# It sets the variables above by name.
# shellcheck source=/dev/null
. "$utils/parse_options.sh"
. "$utils/jobs.sh"

if [ $# -ne 1 ] || [ -z "$encoder" ] || [ -z "$layers" ] || [ -z "$type" ]; then
    echo "$help_message" >&2
    exit 2
fi
dir=$1

fail() {
    echo "make_layers.sh: $*" >&2
    exit 1
}

[[ $type =~ ^[A-Za-z0-9_.-]*\{layer\}[A-Za-z0-9_.-]*$ ]] || fail "--type $type: letters, digits, _ . - and {layer} only"
[[ $layers =~ ^[0-9]+(,[0-9]+)*$ ]] || fail "--layers $layers: expected numbers with commas between them"
[[ $nj =~ ^[1-9][0-9]*$ && $piece =~ ^[1-9][0-9]*$ ]] || fail "--nj $nj --piece $piece: expected numbers from 1"
[ -s "$dir/wav.scp" ] || fail "$dir/wav.scp is missing or empty: prepare the data folder first"
list=wav.scp
[ -f "$dir/segments" ] && list=segments

logs=$dir/log
feats=$dir/feats
mkdir -p "$feats" "$logs"
state=$feats/.${type/\{layer\}/layers}
if [ -w "$feats" ]; then
    exec 9>> "$state.lock"
    flock -w 0.5 9 || {
        echo "make_layers.sh: waiting for another run that makes the same layers"
        flock 9
    }
fi

# Changes when the layers would; the type's name says which encoder it is.
wanted=$({
    echo "$type $pool"
    for table in wav.scp segments utt2hash; do
        [ ! -f "$dir/$table" ] || { echo "$table" && sha256sum < "$dir/$table"; }
    done
} | sha256sum | cut -d ' ' -f 1)
recordings=   # in the place of utt2hash; empty where they are gone, of which layers stay
[ -f "$dir/utt2hash" ] || recordings=$(sertk-data-dir digest "$dir")
is_made() {  # NAME
    local made_of made_recordings
    [ -e "$feats/$1.scp" ] && { read -r made_of; read -r made_recordings || true; } 2> /dev/null < "$feats/.$1.source" &&
        [ "$wanted" = "$made_of" ] && [ "${recordings:-$made_recordings}" = "${made_recordings:-$recordings}" ]
}
missing=()
for layer in ${layers//,/ }; do
    name=${type/\{layer\}/$layer}
    if ! is_made "$name"; then
        missing+=("$layer")
        rm -f "$feats/$name.scp" "$feats/.$name.source"
    fi
done
if [ ${#missing[@]} -eq 0 ]; then
    echo "make_layers.sh: layers $layers of $encoder are up to date in $feats"
    exit 0
fi
"$utils/validate_data_dir.sh" --no-feats --no-text "$dir"

total=$(wc -l < "$dir/$list")
pieces=$(((total + piece - 1) / piece))
pieces=$(((pieces + nj - 1) / nj * nj))   # as many for every job
[ "$pieces" -le "$total" ] || pieces=$total
missing_list=$(IFS=,; echo "${missing[*]}")
# Pieces of an earlier run count where it made the same ones.
making="$wanted $recordings $missing_list $pieces"
if [ "$making" != "$(cat "$state.making" 2> /dev/null)" ]; then
    for layer in "${missing[@]}"; do rm -f "$feats/.${type/\{layer\}/$layer}".*.scp; done
    echo "$making" > "$state.making"
fi

parts=()
for job in $(seq "$pieces"); do parts+=("$logs/$list.${type/\{layer\}/layers}.$job"); done
split_scp.pl "$dir/$list" "${parts[@]}"
JOB=$(job_name "$dir" "$type" "$encoder")
inputs=("scp:$dir/wav.scp" --segments "$logs/segments.${type/\{layer\}/layers}.$JOB")
[ "$list" = segments ] || inputs=("scp:$logs/wav.scp.${type/\{layer\}/layers}.$JOB")
[ ! -f "$dir/utt2hash" ] || inputs=(--utt2hash "$dir/utt2hash" "${inputs[@]}")
quote sertk-extract --encoder "$encoder" --layer "$missing_list" --pool "$pool" --device "$device" \
    --num_threads "$num_threads" "${inputs[@]}" "ark,scp:$feats/$type.$JOB.ark,$feats/.$type.$JOB.scp"
extract=("${quoted[@]}")
# A piece is there when the table of its first layer is, which appears last.
quote test -e "$feats/.${type/\{layer\}/${missing[0]}}.$JOB.scp"

# $cmd may hold options of its own, such as run.pl --mem 4G.
# shellcheck disable=SC2086
$cmd --max-jobs-run "$nj" "$JOB=1:$pieces" "$logs/make_${type/\{layer\}/layers}.$JOB.log" \
    "${quoted[@]}" '||' "${extract[@]}" ||
    fail "some job failed: see $logs/make_${type/\{layer\}/layers}.*.log"

for layer in "${missing[@]}"; do
    name=${type/\{layer\}/$layer}
    made=()
    for job in $(seq "$pieces"); do made+=("$feats/.$name.$job.scp"); done
    LC_ALL=C sort "${made[@]}" > "$feats/.$name.scp.$$.tmp"
    count=$(wc -l < "$feats/.$name.scp.$$.tmp")
    [ "$count" -eq "$total" ] || fail "$count of $total utterances in layer $layer: see $logs"
    printf '%s\n' "$wanted" "$recordings" > "$feats/.$name.source"
    mv "$feats/.$name.scp.$$.tmp" "$feats/$name.scp"
    rm -f "${made[@]}"
done
rm -f "${parts[@]}" "$state.making"
echo "make_layers.sh: layers $missing_list of $encoder, $total utterances, in $feats"
