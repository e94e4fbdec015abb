"""Hostile inputs for the app's loaders, texts and HTTP surface, one module a part. `benchmarks/fuzz.py` runs them.

What a refusal has to be: one sentence, short enough to read, that names no file of this machine's.
"""

from __future__ import annotations

from pathlib import Path

HERE = (str(Path(__file__).resolve().parents[2]), str(Path.home()), "/tmp/", "site-packages", "Traceback")
LONGEST = 1000  # characters


def sentence(error: object) -> str:
    """The refusal's text. AssertionError when it is none."""
    text = str(error)
    assert text and text == text.strip() and "\n" not in text, f"no sentence: {text!r}"
    assert len(text) <= LONGEST, f"a sentence of {len(text)} characters: {text[:200]!r}"
    assert not any(place in text for place in HERE), f"a path: {text!r}"
    return text
