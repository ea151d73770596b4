#!/usr/bin/env bash
# Trains on several hosts under Slurm: one launcher a host, one rank a GPU. Submit it from the project's folder, which all
# hosts must see under the same path:
#   sbatch configs/cluster/slurm.sh --stage alignment --config configs/moextend/alignment.yaml
#SBATCH --job-name=moextend
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --output=moextend-%j.log
# Two minutes before the time is over each launcher gets SIGTERM: a checkpoint, exit code 4. Submit again to go on
# (checkpoints.resume_from_checkpoint=auto).
#SBATCH --signal=TERM@120
set -euo pipefail

# Built once, here; not by all hosts at the same time.
scripts/moextend --version
export MOEXTEND_NO_BUILD=1

# The run's secret: a file only you can read, gone with the job.
umask 077
export MOEXTEND_TOKEN_FILE="$PWD/.moextend-token-$SLURM_JOB_ID"
od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$MOEXTEND_TOKEN_FILE"
trap 'rm -f "$MOEXTEND_TOKEN_FILE"' EXIT

# This script runs on the job's first host. Its name may be loopback to itself, so an address; set MASTER_ADDR for another
# network. The ports MASTER_PORT and the one above it must be open between the hosts, and UDP.
export MASTER_ADDR=${MASTER_ADDR:-$(hostname -I | awk '{print $1}')}
export MASTER_PORT=${MASTER_PORT:-$((15000 + SLURM_JOB_ID % 15000))}

# The words of each host are known on that host alone, hence the inner shell.
srun --kill-on-bad-exit=0 bash -c 'exec scripts/moextend train "$@" \
  --nproc-per-node auto --nnodes "$SLURM_NNODES" --node-rank "$SLURM_NODEID" \
  --master-addr "$MASTER_ADDR" --master-port "$MASTER_PORT" --max-restarts 3' moextend "$@"

# Without our launcher, Slurm starts the ranks itself, one task a GPU, and they find each other by the SLURM_* words. A rank
# that dies then ends the job step; nothing is started again:
#   srun --ntasks-per-node=8 --gpus-per-task=1 --cpus-per-task=8 --kill-on-bad-exit=1 scripts/moextend train "$@"
