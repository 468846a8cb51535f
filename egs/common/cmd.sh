# How jobs run, sourced: train_cmd for features, cuda_cmd for training, decode_cmd for decoding.
# shellcheck shell=bash disable=SC2034
# Each may have options of its own, such as "slurm.pl --mem 4G --time 12:00:00".
case "${CMD_BACKEND:-local}" in
  local) train_cmd=run.pl decode_cmd=run.pl cuda_cmd=run.pl ;;
  slurm) train_cmd=slurm.pl decode_cmd=slurm.pl cuda_cmd=slurm.pl ;;  # conf/slurm.conf, else utils/slurm.conf
  sge) train_cmd=queue.pl decode_cmd=queue.pl cuda_cmd=queue.pl ;;  # Grid Engine: conf/queue.conf likewise
  *) echo "cmd.sh: CMD_BACKEND=$CMD_BACKEND: expected local, slurm or sge" >&2; exit 1 ;;
esac
