"""Hostile inputs for the app's loaders, texts and HTTP surface, one module a part. `bench/fuzz.py` runs them."""
