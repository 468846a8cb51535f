# How jobs run, sourced: on this machine, or on a cluster with CMD_BACKEND=slurm or CMD_BACKEND=sge.
# shellcheck shell=bash disable=SC2034
case "${CMD_BACKEND:-local}" in
  local) train_cmd=run.pl;   decode_cmd=run.pl;   cuda_cmd=run.pl ;;
  slurm) train_cmd=slurm.pl; decode_cmd=slurm.pl; cuda_cmd=slurm.pl ;;
  sge)   train_cmd=queue.pl; decode_cmd=queue.pl; cuda_cmd=queue.pl ;;
  *) echo "cmd.sh: CMD_BACKEND=$CMD_BACKEND: expected local, slurm or sge" >&2; exit 1 ;;
esac
