"""When a record was made, and with which versions: what makes it possible to measure the same again."""

from __future__ import annotations

import platform
from datetime import datetime, timezone
from importlib.metadata import version

from crop_core import __version__


def made_now() -> dict[str, str]:
    """date (UTC, ISO 8601, to the second), and the versions of what answered: crop-explorer, python, torch,
    transformers.
    """
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "crop-explorer": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers")},
    }
