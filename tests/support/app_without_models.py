"""`python -m tests.support.app_without_models`: app.py over an engine without a model, which starts in seconds."""

from __future__ import annotations

import sys
from types import ModuleType

from tests.support.fake_records import FakeEngine


def main() -> None:
    """Put stand-ins into the place of what brings torch, and start the app."""
    models, zerogpu = ModuleType("crop_core.models"), ModuleType("ui.server.zerogpu")
    models.DEFAULT_MODEL = "crop-tiny"  # type: ignore[attr-defined]
    zerogpu.load_engine = lambda options, check: FakeEngine()  # type: ignore[attr-defined]
    sys.modules.update({"crop_core.models": models, "ui.server.zerogpu": zerogpu})
    import app

    app.main()


if __name__ == "__main__":
    main()
