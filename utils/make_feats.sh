#!/usr/bin/env bash
# Makes DIR/feats/TYPE.scp and its archives from DIR/wav.scp (and DIR/segments), as Kaldi's make_mfcc.sh.
set -euo pipefail

type=
feats_config=
nj=4
cmd=run.pl
max_bad=0
compress=false
channel=

help_message="usage: utils/make_feats.sh --type TYPE [options] DIR
example: utils/make_feats.sh --type fbank40 --nj 8 --cmd \"\$train_cmd\" data/ravdess
  --type TYPE          feature type, for example fbank40 or mfcc_pitch
  --feats_config FILE  YAML file that describes TYPE, for a feature type of one's own
  --nj N               jobs (default: 4; never more than utterances)
  --cmd COMMAND        how to run them (default: run.pl)
  --max_bad N          broken recordings that may be left out (default: 0)
  --channel N          take this channel, from 0; all are averaged by default
  --compress true      compressed archives, as Kaldi's"

echo "$0 $*"
utils=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH=$utils:$PATH
# It sets the variables above by name; its own --config is a shell file of such settings.
# shellcheck source=/dev/null
. "$utils/parse_options.sh"

if [ $# -ne 1 ] || [ -z "$type" ]; then
    echo "$help_message" >&2
    exit 2
fi
dir=$1

fail() {
    echo "make_feats.sh: $*" >&2
    exit 1
}

[[ $type =~ ^[A-Za-z0-9_.-]+$ ]] || fail "--type $type: letters, digits, _ . - only"
[[ $nj =~ ^[1-9][0-9]*$ ]] || fail "--nj takes a number from 1, got '$nj'"
[[ $max_bad =~ ^[0-9]+$ ]] || fail "--max_bad takes a number from 0, got '$max_bad'"
[ -s "$dir/wav.scp" ] || fail "$dir/wav.scp is missing or empty: prepare the data folder first"
"$utils/validate_data_dir.sh" --no-feats --no-text "$dir"

list=wav.scp
[ -f "$dir/segments" ] && list=segments
total=$(wc -l < "$dir/$list")
[ "$nj" -le "$total" ] || nj=$total

logs=$dir/log
feats=$dir/feats
mkdir -p "$logs" "$feats"
parts=()
for job in $(seq "$nj"); do parts+=("$logs/$list.$type.$job"); done
split_scp.pl "$dir/$list" "${parts[@]}"

inputs=("scp:$dir/wav.scp" --segments "$logs/segments.$type.JOB")
[ "$list" = segments ] || inputs=("scp:$logs/wav.scp.$type.JOB")
options=(--type "$type" --max_bad "$max_bad")
[ -z "$feats_config" ] || options+=(--config "$feats_config")
[ -z "$channel" ] || options+=(--channel "$channel")
[ "$compress" = false ] || options+=(--compress)

# The archives are about to change under the old table.
rm -f "$feats/$type.scp"
# $cmd may hold options of its own, such as run.pl --mem 4G.
# shellcheck disable=SC2086
$cmd JOB=1:"$nj" "$logs/make_$type.JOB.log" \
    sertk-compute-feats "${options[@]}" "${inputs[@]}" "ark,scp:$feats/$type.JOB.ark,$feats/$type.JOB.scp" ||
    fail "some job failed: see $logs/make_$type.*.log"

merged=$feats/.$type.scp.$$.tmp
trap 'rm -f "$merged"' EXIT
for job in $(seq "$nj"); do cat "$feats/$type.$job.scp"; done | LC_ALL=C sort > "$merged"
made=$(wc -l < "$merged")
bad=$((total - made))
[ "$bad" -le "$max_bad" ] ||
    fail "$bad of $total utterances have no features, more than --max_bad $max_bad:" \
        "see $logs/make_$type.*.log"
mv "$merged" "$feats/$type.scp"
rm -f "${parts[@]}"
[ "$bad" -eq 0 ] || echo "make_feats.sh: warning: $bad utterances left out: see $logs/make_$type.*.log" >&2
echo "make_feats.sh: $made of $total utterances in $feats/$type.scp"
