#!/usr/bin/env bash
# Trains, calibrates and measures both bundled models on a machine with a GPU:
#
#   benchmarks/train_on_gpu.sh FOLDER [MINUTES [OPTION...]]
#
# FOLDER gets models/ (what would go into assets/models), results/ (the figures), log.txt, and training/ (checkpoints:
# the same call goes on from the last one). MINUTES limits the training of this call; 0, the default, does not. OPTIONs go
# to `python -m crop_core.train.bundled`, for example `--start assets/models`. PYTHON is the interpreter (.venv/bin/python), whose
# torch must be one for the GPU; WORKERS is the number of processes that prepare batches (all processors but one).
#
# This script has not been run on a GPU yet, nor has `--device cuda`; the tests run the training on a pretended device.
set -euo pipefail
if [ $# -lt 1 ]; then
    sed -n '2,11s/^# \{0,1\}//p' "$0"
    exit 2
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)
minutes=${2:-0}
options=("${@:3}")
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
workers=${WORKERS:-$(($(nproc) > 1 ? $(nproc) - 1 : 1))}
most=$((16 * 1024 * 1024)) # bytes in one file of the repository
names=(crop-tiny-locator crop-tiny)  # the answerer starts from the locator
exec > >(tee -a "$folder/log.txt") 2>&1

step() {
    echo "== $(date -u +%FT%TZ) $*"
}

step "training with $workers workers: $(git rev-parse HEAD 2>/dev/null || echo 'no commit known')"
status=0
timeout "${minutes}m" "$python" -m crop_core.train.bundled "${names[@]}" --device cuda --workers "$workers" \
    --work "$folder/training" ${options[@]+"${options[@]}"} || status=$?
if [ "$status" -eq 124 ]; then
    step "stopped after $minutes minutes; the same call goes on from the last checkpoint"
    exit 124
elif [ "$status" -ne 0 ]; then
    step "training failed"
    exit "$status"
fi

rm -rf "$folder/models"
mkdir "$folder/models"
for name in "${names[@]}"; do
    cp -r "$folder/training/$name" "$folder/models/$name"
    size=$(wc -c <"$folder/models/$name/model.safetensors")
    step "$name: $size bytes"
    if [ "$size" -gt "$most" ]; then
        step "too large: model.safetensors of $name must not exceed $most bytes"
        exit 1
    fi
done

locator=$folder/models/crop-tiny-locator
step "calibrating"
"$python" -m benchmarks.calibrate_locator --locator "$locator"
step "measuring"
"$python" -m benchmarks.bundled --model "$folder/models/crop-tiny" --localizer "$locator" --workers "$workers" \
    --out "$folder/results"
step "done: $folder"
