#!/usr/bin/env bash
# Runs torchrun on every node of the Slurm job that this is a part of, for one training.
# usage: torchrun_nodes.sh TORCHRUN-OPTION... COMMAND...
#
# SIGTERM means: write a checkpoint, then end. But srun kills all processes when it gets one, and torchrun does not
# wait for its own when it gets two, which Slurm may well send. So both run apart, told by what starts them.
set -euo pipefail
: "${SLURM_JOB_ID:?torchrun_nodes.sh runs inside a job of Slurm}"
export MASTER_PORT=$((20000 + SLURM_JOB_ID % 12000))   # one for each job, below those that systems give out

apart() {  # TELL COMMAND...: COMMAND in its own process group; the first SIGTERM calls TELL with its process id
  local tell=$1 process code=0 told=
  set -m
  "${@:2}" &
  set +m
  process=$!
  trap 'trap "" TERM; told=true; "$tell" "$process" || true' TERM
  wait "$process" || code=$?
  if [ -n "$told" ]; then   # the signal has ended the wait
    code=0
    wait "$process" || code=$?
  fi
  return $code
}

tell_torchrun() { kill -TERM "$1"; }
tell_steps() { scancel --quiet --signal=TERM "$SLURM_JOB_ID"; }

on_node() {   # the first node is the one that srun was started on
  apart tell_torchrun torchrun --nnodes "$SLURM_NNODES" --node_rank "$SLURM_NODEID" \
    --master_addr "$SLURM_LAUNCH_NODE_IPADDR" --master_port "$MASTER_PORT" "$@"
}

export -f apart tell_torchrun on_node
# shellcheck disable=SC2016
apart tell_steps srun --ntasks-per-node=1 ${SLURM_CPUS_PER_TASK:+--cpus-per-task="$SLURM_CPUS_PER_TASK"} \
  --kill-on-bad-exit=1 bash -c 'on_node "$@"' on_node "$@"
