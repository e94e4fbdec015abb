"""Metrics: answers scored as each benchmark's own script scores them. Official figures are in percent (MME's
in its points), scores of single answers from 0 to 1. Knows nothing of models and files."""
