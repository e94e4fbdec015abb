"""Evaluation: accuracy by kind and budget, localizer quality and cost on datasets of questions."""
