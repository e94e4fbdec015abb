"""Measuring: held-out questions, accuracy by kind and budget, the localizer, and cost."""
