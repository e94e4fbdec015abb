"""JSON output of the command line: to a file, or to standard output for "-"."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

STDOUT = "-"


def check_json_path(target: str | None) -> None:
    """ValueError, before any work is done, for a file that cannot be written; None means no output."""
    if target in (None, STDOUT):
        return
    path = Path(str(target))
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ValueError(f"The JSON file '{path}' cannot be written: give a file in a folder that exists.")


def write_json(data: Any, target: str) -> None:
    """Write one line of ASCII JSON, valid for every terminal and reader."""
    text = json.dumps(data, allow_nan=False) + "\n"
    if target == STDOUT:
        sys.stdout.write(text)
        return
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"The JSON file '{target}' cannot be written: {error.strerror or error}.") from error
