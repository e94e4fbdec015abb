"""What pruning saves at full size: published dimensions, random weights, one GPU. `benchmarks/gpu.py` is the command."""
