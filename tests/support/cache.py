"""Random checkpoints are built once a test run; whoever asks for the same one again, in any process, gets a copy."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

SHARED = "TESTS_SHARED"  # environment variable: the folder of this test run, see tests/conftest.py


def copy_of(folder: Path, key: tuple[Any, ...], build: Callable[[Path], Any]) -> None:
    """Fill `folder` with what `build(folder)` writes. key: everything that the result depends on."""
    name = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
    built = Path(os.environ[SHARED]) / name
    with FileLock(f"{built}.lock"):
        if not built.is_dir():
            part = built.with_suffix(".part")
            build(part)
            part.rename(built)
    shutil.copytree(built, folder, dirs_exist_ok=True)
