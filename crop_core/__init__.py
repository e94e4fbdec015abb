"""CROP: Contextual Region-Oriented Visual Token Pruning, as a library. Importing it loads no model and no torch."""

__version__ = "0.1.0"
