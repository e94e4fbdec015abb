"""`python -m tests.support.app_without_models`: app.py over an engine without a model, which starts in seconds."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.support.fake_records import FakeEngine


def load_engine(options: Any, check: bool) -> FakeEngine:
    """A stand-in, once the file exists that LOADED names, if any; ValueError where that file says why not, in which
    variables may stand, as {HOME}.
    """
    if file := os.environ.get("LOADED"):
        while not Path(file).exists():
            time.sleep(0.05)
        if why := Path(file).read_text():
            raise ValueError(why.format(**os.environ))
    return FakeEngine()


def main() -> None:
    """Put a stand-in into the place of what brings torch, and start the app."""
    zerogpu = ModuleType("ui.server.zerogpu")
    zerogpu.load_engine = load_engine  # type: ignore[attr-defined]
    sys.modules["ui.server.zerogpu"] = zerogpu
    import app

    app.main()


if __name__ == "__main__":
    main()
