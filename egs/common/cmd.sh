# How jobs run, sourced: train_cmd for features, cuda_cmd for training, decode_cmd for decoding.
# shellcheck shell=bash disable=SC2034
case "${CMD_BACKEND:-local}" in
  local) train_cmd=run.pl decode_cmd=run.pl cuda_cmd=run.pl ;;
  *) echo "cmd.sh: CMD_BACKEND=$CMD_BACKEND: expected local" >&2; exit 1 ;;
esac
