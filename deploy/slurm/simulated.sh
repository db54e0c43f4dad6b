#!/usr/bin/env bash
# A SLURM cluster on one Debian machine, to try the sbatch files on: every node is a network
# namespace with its own address, host name and /tmp, and nothing outside can reach them.
#
#     apt-get install slurm-wlm munge
#     deploy/slurm/simulated.sh start [NODES]      # as root
#     deploy/slurm/simulated.sh on n1 COMMAND...   # on a node, as sinfo, sbatch or bash
#     deploy/slurm/simulated.sh fail n2            # take a node away, as a power failure would
#     deploy/slurm/simulated.sh stop
set -euo pipefail
base=/var/tmp/simulated-slurm
config=$base/slurm.conf

on() {
  local node=$1
  shift
  # shellcheck disable=SC2016  # expanded by the inner shell
  exec nsenter --net="/run/netns/$node" unshare --uts --mount bash -c '
    set -e
    base=$1 node=$2
    shift 2
    hostname "$node"
    mount --bind "$base/hosts" /etc/hosts
    mount --bind "$base/$node/tmp" /tmp
    mount -t tmpfs tmpfs /dev/shm
    export SLURM_CONF=$base/slurm.conf
    exec "$@"' bash "$base" "$node" "$@"
}

start() {
  local nodes=${1:-3} number name
  mkdir -p "$base/ctl/state" "$base/ctl/tmp"
  printf '127.0.0.1 localhost\n10.77.0.1 ctl\n' >"$base/hosts"
  cat >"$config" <<CONF
ClusterName=simulated
SlurmctldHost=ctl(10.77.0.1)
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation=$base/ctl/state
SlurmctldLogFile=$base/ctl/log
SlurmctldPidFile=$base/ctl/pid
SlurmdSpoolDir=$base/%n/spool
SlurmdLogFile=$base/%n/log
SlurmdPidFile=$base/%n/pid
SlurmdTimeout=20
KillWait=10
MpiDefault=none
ReturnToService=2
CONF
  ip netns add ctl
  ip -n ctl link set lo up
  ip -n ctl link add bridge type bridge
  ip -n ctl addr add 10.77.0.1/24 dev bridge
  ip -n ctl link set bridge up
  for ((number = 1; number <= nodes; number++)); do
    name=n$number
    mkdir -p "$base/$name/spool" "$base/$name/tmp"
    chmod 1777 "$base/$name/tmp"
    echo "10.77.0.$((number + 1)) $name" >>"$base/hosts"
    echo "NodeName=$name NodeAddr=10.77.0.$((number + 1)) CPUs=2 RealMemory=4000" >>"$config"
    ip netns add "$name"
    ip -n "$name" link set lo up
    ip -n ctl link add "to-$name" type veth peer name eth0 netns "$name"
    ip -n ctl link set "to-$name" master bridge up
    ip -n "$name" addr add "10.77.0.$((number + 1))/24" dev eth0
    ip -n "$name" link set eth0 up
  done
  echo "PartitionName=all Nodes=n[1-$nodes] Default=YES MaxTime=INFINITE State=UP" >>"$config"
  pgrep -x munged >/dev/null || service munge start
  (on ctl slurmctld)
  for name in $(names); do
    (on "$name" slurmd -N "$name")
  done
}

names() {
  sed -n 's/^NodeName=\(\S*\) .*/\1/p' "$config"
}

fail() {
  ip netns pids "$1" | xargs --no-run-if-empty kill -KILL
}

stop() {
  local name
  for name in $(names) ctl; do
    fail "$name"
    ip netns delete "$name"
  done
  sleep 1
  rm -rf "$base"
}

command=${1:?start, on, fail or stop}
shift
"$command" "$@"
