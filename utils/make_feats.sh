#!/usr/bin/env bash
# Makes DIR/feats/TYPE.scp and its archives from DIR/wav.scp (and DIR/segments), as Kaldi's make_mfcc.sh.
# A table that is up to date is left alone, and so is one that this script did not make.
set -euo pipefail

type=
feats_config=
nj=4
cmd=run.pl
max_bad=0
compress=
channel=

help_message="usage: utils/make_feats.sh --type TYPE [options] DIR
example: utils/make_feats.sh --type fbank40 --nj 8 --cmd \"\$train_cmd\" data/ravdess
  --type TYPE          feature type, for example fbank40 or mfcc_pitch
  --feats_config FILE  YAML file that describes TYPE, for a feature type of one's own
  --nj N               jobs (default: 4; never more than utterances)
  --cmd COMMAND        how to run them (default: run.pl)
  --max_bad N          broken recordings that may be left out (default: 0)
  --channel N          take this channel, from 0; all are averaged by default
  --compress true      compressed archives, as Kaldi's
What is not said of a table that is there stays as it was made."

echo "$0$(printf ' %q' "$@")"
utils=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH=$utils:$PATH
# It sets the variables above by name; its own --config is a shell file of such settings.
# shellcheck source=/dev/null
. "$utils/parse_options.sh"
. "$utils/jobs.sh"

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
fingerprint() {  # changes when the features would
    {
        echo "$type" "$channel" "$compress"
        for table in wav.scp segments utt2hash; do
            [ ! -f "$dir/$table" ] || { echo "$table" && sha256sum < "$dir/$table"; }
        done
        [ -z "$feats_config" ] || sha256sum < "$feats_config"
    } | sha256sum | cut -d ' ' -f 1
}

recordings=   # in the place of utt2hash; empty where they are gone, of which features stay
[ -f "$dir/utt2hash" ] || recordings=$(sertk-data-dir digest "$dir")

logs=$dir/log
feats=$dir/feats
source=$feats/.$type.source
mkdir -p "$feats"
# Held until the last job ends. Where nothing can be written, nothing needs it.
if [ -w "$feats" ] && command -v flock > /dev/null; then
    lock=$feats/.$type.lock
    exec 9>> "$lock"
    holder="process $$ on $(uname -n) since $(date '+%F %T %z')"
    flock -w 0.5 9 || {
        echo "make_feats.sh: waiting for another run that makes $feats/$type.scp: $(cat "$lock")"
        flock 9
    } || fail "$lock cannot be locked"
    echo "$holder" > "$lock"
    rm -f "$feats/.$type".[0-9]*.ark.*.tmp "$feats/.$type".scp.*.tmp   # what killed runs were writing
fi
if [ -e "$source" ] && { read -r _ && read -r made_compress && read -r made_channel && read -r made_config &&
        { read -r made_recordings || true; }; } < "$source"; then
    compress=${compress:-$made_compress} channel=${channel:-$made_channel} feats_config=${feats_config:-$made_config}
fi
compress=${compress:-false}
[[ $compress =~ ^(true|false)$ ]] || fail "--compress $compress: expected true or false"
[ -z "$feats_config" ] || [ -r "$feats_config" ] || fail "--feats_config $feats_config: no such file" \
    "${made_config:+(if it is gone for good, remove $feats/$type.scp and $source, and run this again)}"
wanted=$(fingerprint)
if [ -e "$feats/$type.scp" ] && [ ! -e "$source" ]; then
    echo "make_feats.sh: $feats/$type.scp was made by other means and is left as it is"
    exit 0
elif [ -e "$feats/$type.scp" ] && [ "$wanted" = "$(head -n 1 "$source")" ] &&
    [ "${recordings:-${made_recordings:-}}" = "${made_recordings:-$recordings}" ]; then
    echo "make_feats.sh: $feats/$type.scp is up to date"
    exit 0
fi

# The archives are about to change under the old table. Without a table, a source says nothing.
rm -f "$feats/$type.scp" "$source"
"$utils/validate_data_dir.sh" --no-feats --no-text "$dir"

list=wav.scp
[ -f "$dir/segments" ] && list=segments
total=$(wc -l < "$dir/$list")
[ "$nj" -le "$total" ] || nj=$total

mkdir -p "$logs"
parts=()
made_parts=()
job_logs=()
for job in $(seq "$nj"); do
    parts+=("$logs/$list.$type.$job")
    made_parts+=("$logs/feats.$type.$job")
    job_logs+=("$logs/make_$type.$job.log")
done
split_scp.pl "$dir/$list" "${parts[@]}"

JOB=$(job_name "$dir" "$type" "$feats_config")
inputs=("scp:$dir/wav.scp" --segments "$logs/segments.$type.$JOB")
[ "$list" = segments ] || inputs=("scp:$logs/wav.scp.$type.$JOB")
make=(sertk-compute-feats --type "$type" --max_bad "$max_bad")
[ -z "$feats_config" ] || make+=(--config "$feats_config")
[ -z "$channel" ] || make+=(--channel "$channel")
[ "$compress" = false ] || make+=(--compress)
[ ! -f "$dir/utt2hash" ] || make+=(--utt2hash "$dir/utt2hash")
make+=("${inputs[@]}" "ark,scp:$feats/$type.$JOB.ark,$logs/feats.$type.$JOB")
quote "${make[@]}"

# $cmd may hold options of its own, such as run.pl --mem 4G.
# shellcheck disable=SC2086
$cmd "$JOB=1:$nj" "$logs/make_$type.$JOB.log" "${quoted[@]}" ||
    fail "some job failed: see $logs/make_$type.*.log"

merged=$feats/.$type.scp.$$.tmp
trap 'rm -f "$merged" "$source.$$.tmp"' EXIT
LC_ALL=C sort "${made_parts[@]}" > "$merged"
made=$(wc -l < "$merged")
bad=$((total - made))
[ "$made" -gt 0 ] || fail "no utterance has features: see $logs/make_$type.*.log"
[ "$bad" -le "$max_bad" ] ||
    fail "$bad of $total utterances have no features, more than --max_bad $max_bad:" \
        "see $logs/make_$type.*.log"
# The source first: a table without one counts as somebody's own.
printf '%s\n' "$wanted" "$compress" "$channel" "$feats_config" "$recordings" > "$source.$$.tmp"
mv "$source.$$.tmp" "$source"
mv "$merged" "$feats/$type.scp"
rm -f "${parts[@]}" "${made_parts[@]}"
[ "$bad" -eq 0 ] || echo "make_feats.sh: warning: $bad of $total utterances left out: see $logs/make_$type.*.log" >&2
odd=$(cat "${job_logs[@]}" | grep -c '^warning: ' || true)
[ "$odd" -eq 0 ] || echo "make_feats.sh: warning: $odd of $total utterances silent or the like: see $logs/make_$type.*.log" >&2
echo "make_feats.sh: $made of $total utterances in $feats/$type.scp"
