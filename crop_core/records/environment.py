"""Provenance of measurements and answers: date, command, device and versions."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

from crop_core.records import VERSION

PACKAGES = ("torch", "transformers")


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Versions of Python and of these installed packages."""
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def run_environment() -> dict[str, str]:
    """Provenance of an answer: date (UTC, ISO 8601, to the second), and versions of crop-explorer, python, torch,
    transformers.
    """
    return {"date": now(), "crop-explorer": VERSION, **versions()}


def benchmark_environment(
    program: str,
    device: str,
    dtype: str = "float32",
    arguments: Sequence[str] | None = None,
    packages: Sequence[str] = PACKAGES,
) -> dict[str, Any]:
    """Provenance of a results file: command, date, device, dtype and versions. arguments: None for those of this
    process.
    """
    return {
        "command": " ".join([program, *(sys.argv[1:] if arguments is None else arguments)]),
        "date": now(),
        "device": device,
        "dtype": dtype,
        "versions": versions(packages),
    }


def now() -> str:
    """Date and time in UTC, ISO 8601, to the second; later ones sort after earlier ones."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
