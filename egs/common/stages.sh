# What all recipes share, sourced before the command line is parsed: options, and functions for options and stages.
# shellcheck shell=bash disable=SC2034,SC2154
. ./cmd.sh
. utils/jobs.sh
exec < /dev/null                # a list that a loop around the recipe reads stays whole
on_this_machine=true; [[ "$train_cmd $cuda_cmd" = *run.pl* ]] || on_this_machine=false
stage=${stage:-0}               # first stage to run
nj=$(nproc)                     # jobs for features; on a cluster 32
ngpu=$(if [ -n "${CUDA_VISIBLE_DEVICES+set}" ]; then tr ',' '\n' <<< "$CUDA_VISIBLE_DEVICES"; else nvidia-smi -L; fi 2>/dev/null |
  grep -cE '^(GPU|MIG-|[0-9])' || true)   # 0 trains on the CPU
num_threads=$(nproc)            # CPU threads of one training, on a cluster 4; here as many train at a time as have theirs
mem=                            # memory of one training on a cluster, such as 8G; empty: the cluster's default
config=                         # YAML laid over the model's own
set=                            # settings laid over both: "training.max_epochs=3 model.dropout=0.2"
tag=                            # name of the experiment beside the model's; derived from --config and --set

if [ "$on_this_machine" = false ]; then nj=32 num_threads=4; fi

list_names() { printf '%s\n' "$@" | sort -u | paste -sd ' '; }
check_numbers() {  # LEAST OPTION...
  local option least=$1
  for option in "${@:2}"; do
    [[ ${!option} =~ ^(0|[1-9][0-9]{0,8})$ && ${!option} -ge $least ]] ||
      { echo "$0: --$option ${!option}: expected a whole number from $least" >&2; exit 1; }
  done
}
check_stages() {  # LAST: the recipe's last stage
  check_numbers 0 stage stop_stage
  [ "$stop_stage" -le "$1" ] || { echo "$0: --stop_stage $stop_stage: the last stage is $1" >&2; exit 1; }
  [[ $stage -le $stop_stage || $print_exp = true ]] ||
    { echo "$0: --stage $stage: behind --stop_stage $stop_stage, so that no stage would run" >&2; exit 1; }
}
check_memory() {
  [[ $mem =~ ^([1-9][0-9]*[KMGTkmgt]?)?$ ]] || { echo "$0: --mem $mem: expected a size such as 8G" >&2; exit 1; }
}
check_names() {  # OPTION...: they become parts of paths and of shell commands
  local option
  for option; do
    [[ ${!option} =~ ^[A-Za-z0-9._-]*$ ]] || { echo "$0: --$option ${!option}: letters, digits, . _ - only" >&2; exit 1; }
  done
}
check_gpu() {  # that this machine has one for --ngpu, where a stage from LEAST on is to be run; clusters know themselves
  [[ $ngpu -eq 0 || $on_this_machine = false || $stop_stage -lt $1 || $stage -gt $stop_stage ]] ||
    sertk-make-experiment "${model_options[@]}" --plan --device cuda &> /dev/null ||
    { echo "$0: --ngpu $ngpu: torch finds no GPU on this machine; --ngpu 0 takes the CPU" >&2; exit 1; }
}
run_stage() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ] && echo "$0: stage $1: $2"; }
need() { [ -e "$1" ] || { echo "$0: $1 is missing; stage $2 makes it" >&2; exit 1; }; }
