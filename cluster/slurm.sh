#!/usr/bin/env bash
#SBATCH --job-name=longrun
#SBATCH --cpus-per-task=2
#SBATCH --mem=8G
#SBATCH --time=10:00:00
#SBATCH --requeue
#SBATCH --output=longrun-%A-%a.log
# One step of a run as an array of tasks: sbatch --array 0-99 slurm.sh normalize. cluster/run does it. LONGRUN_LAKE and LONGRUN_RUN
# come along with the environment; credentials are the files of each cloud in the home folder.
#
# Slurm itself runs the task of a dead node again, and no other. So whatever may end well next time is tried again here: a retry goes
# on behind the buckets that are done.
set -uo pipefail
for attempt in 1 2 3 4; do
    longrun "$1" --json
    code=$?
    case $code in 0 | 2) exit $code ;; esac
    echo "attempt $attempt ended with $code" >&2
done
exit $code
