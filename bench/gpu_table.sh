#!/usr/bin/env bash
# The table of steps on a GPU: minigan's captured graphs against PyTorch (eager, CUDA graphs, torch.compile) and JAX.
#
#     bench/gpu_table.sh [FOLDER] [ROUNDS]
#
# For a machine with a GPU and `pip install -e ".[gpu,bench]"`, with builds of PyTorch and JAX that see it (PYTHON names another
# interpreter). In turns, each in a process of its own, ROUNDS times (3): toy, MLP, DCGAN-28 with batches of 64 and 512, DCGAN-64
# with 128; and once more with TF32 allowed to all. About 20 minutes. Tables go to FOLDER (./gpu-table); what is kept of them
# belongs into bench/results/. Aim: <= .5 of PyTorch eager, and <= 1.0 of the fastest on the first three.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-gpu-table} rounds=${2:-3} python=${PYTHON:-python3}
mkdir -p "$out"

table() { # NAME PRECISION ARGUMENTS...
  local name=$1 precision=$2 peer
  shift 2
  local peers=(torch_eager torch_eager:graph=yes torch_compile torch_compile:mode=reduce-overhead jax_jit minigan_step:graphs=no)
  if [ "$precision" = high ]; then
    peers=(torch_eager:precision=high torch_eager:graph=yes,precision=high torch_compile:precision=high
      torch_compile:mode=reduce-overhead,precision=high jax_jit:precision=high minigan_step:precision=high)
  fi
  "$python" bench/step_time.py --device cuda --rounds "$rounds" --peers "${peers[@]}" --out "$out/$name-$precision.md" "$@"
}

for precision in highest high; do
  table toy-mlp "$precision" --work toy mlp
  table dcgan28-64 "$precision" --work dcgan --batch 64
  table dcgan28-512 "$precision" --work dcgan --batch 512
  table dcgan64-128 "$precision" --work dcgan --batch 128 --size 64
done
