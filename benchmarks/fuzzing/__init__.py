"""Fuzzing of the app's loaders, texts and HTTP surface, one module a part; run by `benchmarks/fuzz.py`."""
