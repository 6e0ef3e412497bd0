#!/bin/sh
# Everything that needs an accelerator, in one command: under 10 minutes on one device, nothing downloaded.
#
#   benchmarks/on_gpu.sh [--output benchmarks/on_gpu.md]
#
# PYTHON is one that has PyTorch for the device, NumPy, msgspec, safetensors, tokenizers and polars; this checkout's source
# is what it runs. `--device cpu --small` tries the script itself where there is no accelerator.
set -eu
cd "$(dirname "$0")/.."
PYTHONPATH="src${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python3}" benchmarks/on_gpu.py "$@"
