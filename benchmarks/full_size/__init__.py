"""Savings by pruning at full size: published dimensions, random weights, one GPU; run by `benchmarks/gpu.py`."""
