"""Sweep: every question of a dataset answered by every method at every budget, recorded answer by answer."""
