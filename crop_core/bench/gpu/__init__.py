"""What pruning saves at full size: published dimensions, random weights, one GPU. `bench/gpu.py` is the command."""
