#!/usr/bin/env bash
# One node of the Ray cluster of a job, until it is ended: sweep.sbatch starts one on each.
#
#     ray-node.sh FOLDER FIRST_PORT [ADDRESS]     # without the head's address, the head
set -euo pipefail
folder=$1 first=$2
role=(--head --port="$first" --include-dashboard=false)
if [ $# = 3 ]; then
  role=(--address="$3")
  trap 'rm -rf "$folder"' EXIT
fi

ray='' ended=''
trap 'ended=yes; kill "$ray"' TERM
# Ray gives up on a slow node after 30 seconds, and ends when one of its processes does.
for _ in {1..5}; do
  ray start "${role[@]}" --block --disable-usage-stats --temp-dir="$folder/ray" \
    --node-ip-address="$(hostname --all-ip-addresses | cut -d ' ' -f 1)" \
    --num-cpus="$SLURM_CPUS_PER_TASK" \
    --node-manager-port=$((first + 1)) --object-manager-port=$((first + 2)) \
    --runtime-env-agent-port=$((first + 3)) --metrics-export-port=$((first + 4)) \
    --dashboard-agent-grpc-port=$((first + 5)) --dashboard-agent-listen-port=$((first + 6)) \
    --min-worker-port=$((first + 10)) --max-worker-port=$((first + 199)) &
  ray=$!
  # Twice, since a signal ends the first wait.
  wait "$ray" || wait "$ray" || true
  if [ "$ended" ]; then exit; fi
  sleep 5
done
