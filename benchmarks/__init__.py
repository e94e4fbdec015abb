"""Measurements: what was measured lies in `results/`. Nothing in `crop_core` or `ui` imports this package."""
