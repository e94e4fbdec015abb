"""Output files of the command line, which exist whole or not at all; JSON, or standard output for "-"."""

from __future__ import annotations

import json
import sys
from typing import Any

from crop_core.io.output_files import check_output, write_output

STDOUT = "-"
WHAT = "JSON file"


def check_json_path(target: str | None) -> None:
    """ValueError, before any work is done, for a file that cannot be written; None means no output."""
    check_output(None if target == STDOUT else target, WHAT)


def write_json(data: Any, target: str) -> None:
    """Write one line of ASCII JSON, valid for every terminal and reader."""
    text = json.dumps(data, allow_nan=False) + "\n"
    if target == STDOUT:
        sys.stdout.write(text)
    else:
        write_output(text.encode(), target, WHAT)
