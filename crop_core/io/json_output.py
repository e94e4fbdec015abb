"""Where the command line writes JSON: a file, or "-" for standard output."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

STDOUT = "-"


def check_json_path(target: str | None) -> None:
    """ValueError, before any work is done, for a file that cannot be written; None is nowhere."""
    if target in (None, STDOUT):
        return
    path = Path(str(target))
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ValueError(f"The JSON file '{path}' cannot be written: give a file in a folder that exists.")


def write_json(told: Any, target: str) -> None:
    """One line of ASCII, so that every terminal and every reader takes it."""
    text = json.dumps(told, allow_nan=False) + "\n"
    if target == STDOUT:
        sys.stdout.write(text)
        return
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"The JSON file '{target}' cannot be written: {error.strerror or error}.") from error
