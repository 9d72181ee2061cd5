#!/usr/bin/env bash
# The first time minigan meets a GPU: all that is worth knowing, in one command, cheapest and most telling first.
#
#     bench/gpu_first_run.sh [SECONDS] [FOLDER]
#
# Run it in a clone with `pip install -e ".[test,gpu]"` done (PYTHON names another interpreter). Nothing is installed and no
# setting of the card is touched. Each stage has its own limit; one that fails does not stop the next, and one that would pass
# SECONDS (1500 by default) is left out and named. Logs and a summary go to FOLDER (./gpu-first-run).
cd "$(dirname "$0")/.." || exit
deadline=${1:-1500} out=${2:-gpu-first-run} python=${PYTHON:-python3} begin=$SECONDS
mkdir -p "$out"
export PYTHONUNBUFFERED=1 HYPOTHESIS_PROFILE=dev MPLBACKEND=Agg
summary=()

stage() { # NAME LIMIT COMMAND...
  local name=$1 limit=$2 left=$((deadline - (SECONDS - begin))) start=$SECONDS code
  shift 2
  if [ "$left" -lt 15 ]; then
    summary+=("$name: left out, no time")
    return
  fi
  printf '\n== %s (at most %d s) ==\n' "$name" "$limit"
  timeout -k 5 "$((limit < left ? limit : left))" "$@" > "$out/$name.log" 2>&1
  code=$?
  tail -n 40 "$out/$name.log"
  summary+=("$name: exit code $code, $((SECONDS - start)) s")
}

stage 01-card 15 nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm --format=csv
stage 02-doctor 60 "$python" -m minigan doctor
stage 03-compile 150 "$python" bench/gpu_first_run.py compile
stage 04-kernels 120 "$python" -m pytest -m gpu tests/test_gpu_kernels.py
stage 05-convolutions 180 "$python" -m pytest -m gpu tests/test_gpu_conv.py
stage 06-capture 30 "$python" bench/gpu_first_run.py capture
stage 06-captured-steps 60 "$python" -m pytest -m gpu tests/test_captured.py
stage 07-bandwidth 30 "$python" bench/gpu_first_run.py bandwidth
stage 08-steps 90 "$python" bench/gpu_first_run.py steps
stage 09-games 120 "$python" -m pytest -m gpu tests/test_game.py tests/test_replay.py tests/test_dcgan.py tests/test_optim.py
stage 10-operations 240 "$python" -m pytest -m gpu tests/test_registry.py
stage 11-runs 180 "$python" -m pytest -m gpu tests/test_gpu_runs.py
stage 12-the-rest 180 "$python" -m pytest -m gpu tests --ignore tests/test_registry.py --ignore tests/test_gpu_conv.py \
  --ignore tests/test_gpu_kernels.py --ignore tests/test_gpu_runs.py
stage 13-layers 120 "$python" bench/gpu_conv.py --batch 64 256 --rounds 5 --calls 10
if command -v compute-sanitizer > /dev/null; then
  few="index_add or philox or (batch_norm and tanh and shape3) or (layer_norm and shape3) or (optimizer and adam)"
  for tool in memcheck racecheck synccheck; do
    stage "14-$tool" 120 compute-sanitizer --tool "$tool" --error-exitcode 9 \
      "$python" -m pytest -m gpu tests/test_gpu_kernels.py tests/test_gpu_conv.py -k "$few or anywhere"
  done
else
  summary+=("14-sanitizer: left out, no compute-sanitizer on the PATH")
fi

if "$python" -c 'import torch; assert torch.cuda.is_available()' > /dev/null 2>&1; then
  stage 15-table 600 bench/gpu_table.sh "$out/table" 1
else
  summary+=("15-table: left out, no PyTorch that sees the GPU")
fi

printf '\n== %d s in all ==\n' "$((SECONDS - begin))"
printf '%s\n' "${summary[@]}" | tee "$out/summary.txt"
