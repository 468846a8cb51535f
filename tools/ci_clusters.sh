#!/usr/bin/env bash
# A real Slurm of two nodes and a real Grid Engine on this machine alone, for test/cluster. For root on Debian.
# Machines whose Slurm or Grid Engine serve anybody else are left alone.
set -euo pipefail
scratch=/var/tmp/ci_clusters   # state and logs of Slurm
slots=8                        # jobs at a time, whatever the machine has
host=$(hostname)
slurm_conf=/etc/slurm/slurm.conf
export SGE_ROOT=/var/lib/gridengine SGE_CELL=default
sge_common=$SGE_ROOT/$SGE_CELL/common
mark="# Written by ci_clusters.sh"

fail() { echo "$0: $*" >&2; exit 1; }

install_packages() {
  local missing=()
  for package in munge slurm-wlm gridengine-master gridengine-exec gridengine-client; do
    dpkg -s "$package" > /dev/null 2>&1 || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  apt-get -qq update || fail "apt-get update failed"
  # In Debian's containers the packages start nothing by themselves, and elsewhere nothing is configured yet.
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" > "$scratch/apt.log" 2>&1 ||
    fail "apt-get install ${missing[*]} failed: see $scratch/apt.log"
}

wait_until() {  # COMMAND...: succeeds within half a minute
  for _ in $(seq 60); do
    "$@" > /dev/null 2>&1 && return
    sleep 0.5
  done
  return 1
}

start_daemon() {  # NAME USER OPTION...: notes the process ids of all such daemons for `stop`
  runuser -u "$2" -- "$1" "${@:3}" > /dev/null
  wait_until pidof "$1" || fail "$1 does not start"
  pidof "$1" > "$scratch/$1.pid"
}
ours() {  # NAME: those of the ids that still are the daemon's
  local id ids=()
  [ ! -e "$scratch/$1.pid" ] || read -ra ids < "$scratch/$1.pid"
  for id in "${ids[@]}"; do
    [ "$(cat "/proc/$id/comm" 2> /dev/null)" != "$1" ] || echo "$id"
  done
}
is_ours() { [ -n "$(ours "$1")" ]; }
is_foreign() { pidof "$1" > /dev/null && ! is_ours "$1"; }

start_slurm() {
  [ ! -e $slurm_conf ] || grep -qx "$mark" $slurm_conf || fail "$slurm_conf is there: this machine has a Slurm"
  if is_foreign slurmctld || is_foreign slurmd; then fail "another Slurm runs on this machine"; fi
  ! { is_ours slurmctld && is_ours slurmd; } || { echo "$0: Slurm runs already"; return; }
  mkdir -p "$scratch"/{state,spool}
  cat > $slurm_conf <<END
$mark
ClusterName=ci
SlurmctldHost=$host
SlurmUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=1
ReturnToService=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
StateSaveLocation=$scratch/state
SlurmdSpoolDir=$scratch/spool/%n
SlurmctldPidFile=$scratch/state/slurmctld.pid
SlurmdPidFile=$scratch/state/slurmd.%n.pid
SlurmctldLogFile=$scratch/slurmctld.log
SlurmdLogFile=$scratch/slurmd.%n.log
NodeName=DEFAULT CPUs=$((slots / 2)) RealMemory=1000 Gres=gpu:2 State=UNKNOWN
NodeName=n[1-2] NodeHostname=$host NodeAddr=127.0.0.1 Port=17001-17002
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=2
END
  printf 'Name=gpu File=%s\n' /dev/null /dev/zero > /etc/slurm/gres.conf   # two cards that are none
  install -d -o munge -g munge -m 755 /run/munge
  pidof munged > /dev/null || start_daemon munged munge
  start_daemon slurmctld root
  start_daemon slurmd root -N n1
  start_daemon slurmd root -N n2
  wait_until sinfo --noheader --states=idle,mixed,allocated || fail "Slurm does not start: see $scratch/slurmctld.log"
  wait_until srun --quiet --nodes=2 --immediate=5 true || fail "Slurm runs no job: see $scratch/slurmd.n*.log"
  pidof slurmd > "$scratch/slurmd.pid"   # once more: the second one may have had a parent's id still, which has ended
  echo "$0: $(sinfo --version) runs"
}

start_grid_engine() {
  if is_foreign sge_qmaster || is_foreign sge_execd; then fail "another Grid Engine runs on this machine"; fi
  ! { is_ours sge_qmaster && is_ours sge_execd; } || { echo "$0: Grid Engine runs already"; return; }
  ! grep -s '[^[:space:]]' "$sge_common/act_qmaster" | grep -qvxE "$host|none" ||
    fail "$sge_common/act_qmaster names another machine: this one is part of a Grid Engine already"
  echo "$host" > "$sge_common/act_qmaster"
  # Where the machine's own address resolves to localhost, both are the same machine.
  [ "$(getent hosts 127.0.0.1 | awk '{ print $2 }')" != localhost ] || echo "$host localhost" > "$sge_common/host_aliases"
  install -d -o sgeadmin -g sgeadmin /run/gridengine
  start_daemon sge_qmaster sgeadmin
  wait_until qconf -sh || fail "sge_qmaster does not start: see /var/spool/gridengine/qmaster/messages"
  configure_grid_engine > "$scratch/qconf.log" 2>&1 || fail "qconf failed: see $scratch/qconf.log"
  start_daemon sge_execd root
  wait_until grid_engine_is_ready || fail "sge_execd does not start: see /var/spool/gridengine/execd/$host/messages"
  echo "$0: $(qstat -help | head -n 1) runs"
}

grid_engine_is_ready() { qstat -f | grep -q "^all.q@.* [0-9.]\+ \+lx-[^ ]\+ *$"; }

configure_grid_engine() {
  local file=$scratch/qconf global=$scratch/global
  qconf -ah "$host"
  qconf -as "$host"
  # Jobs run as root and begin at once, on a busy machine too.
  qconf -sconf | sed 's/^min_\([ug]\)id .*/min_\1id 0/; s/^\(load_report_time\) .*/\1 00:00:05/' > "$global" &&
    qconf -Mconf "$global"
  qconf -ssconf | sed 's/^\(schedule_interval\) .*/\1 0:0:2/; s/^\(flush_[a-z]*_sec\) .*/\1 1/' > "$file" && qconf -Msconf "$file"
  qconf -sc > "$file"
  grep -q '^gpu ' "$file" || { echo 'gpu gpu INT <= YES JOB 0 0' >> "$file" && qconf -Mc "$file"; }
  printf '%s\n' "hostname $host" 'load_scaling NONE' 'complex_values gpu=2' 'user_lists NONE' 'xuser_lists NONE' \
    'projects NONE' 'xprojects NONE' 'usage_scaling NONE' 'report_variables NONE' > "$file"
  qconf -Me "$file" || qconf -Ae "$file"
  printf '%s\n' 'group_name @allhosts' "hostlist $host" > "$file"
  qconf -Mhgrp "$file" || qconf -Ahgrp "$file"
  printf '%s\n' 'pe_name smp' "slots $slots" 'user_lists NONE' 'xuser_lists NONE' 'start_proc_args NONE' \
    'stop_proc_args NONE' "allocation_rule \$pe_slots" 'control_slaves FALSE' 'job_is_first_task TRUE' \
    'urgency_slots min' 'accounting_summary FALSE' 'qsort_args NONE' > "$file"
  qconf -Mp "$file" || qconf -Ap "$file"
  qconf -sq | sed 's/^\(qname\) .*/\1 all.q/; s/^\(hostlist\) .*/\1 @allhosts/; s/^\(slots\) .*/\1 '$slots'/
    s/^\(load_thresholds\) .*/\1 NONE/; s/^\(pe_list\) .*/\1 smp/; s/^\(notify\) .*/\1 00:00:10/
    s|^\(shell\) .*|\1 /bin/bash|' > "$file"
  qconf -Mq "$file" || qconf -Aq "$file"
}

stop() {  # NAME...: ends these daemons, those that `start` has started, the first one first
  local name id
  for name in "$@"; do
    for id in $(ours "$name"); do
      kill "$id" 2> /dev/null || continue   # slurmctld's second process ends with the first
      wait_until gone "$id" || kill -KILL "$id"
    done
    rm -f "$scratch/$name.pid"
  done
}
gone() { ! kill -0 "$1" 2> /dev/null; }

[ "$(id -u)" = 0 ] || fail "needs root to install and start Slurm and Grid Engine"
[ -e /etc/debian_version ] || fail "installs Debian's packages, and this is not Debian"
mkdir -p "$scratch"
case ${1:-} in
  start) install_packages; start_slurm; start_grid_engine ;;
  stop) stop slurmd slurmctld munged sge_execd sge_qmaster ;;
  *) fail "usage: $0 start|stop" ;;
esac
