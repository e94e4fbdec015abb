"""CROP: Contextual Region-Oriented Visual Token Pruning, as a library.

The public names are imported on first use: `import crop_core` loads no model, no torch and no numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from crop_core.records import VERSION

if TYPE_CHECKING:
    from crop_core.engine.engine import CropEngine
    from crop_core.io.images import open_image
    from crop_core.records.config import Budget, CropConfig
    from crop_core.records.region import Region

__version__ = VERSION
__all__ = ["Budget", "CropConfig", "CropEngine", "Region", "open_image"]

_MODULES = {
    "Budget": "crop_core.records.config",
    "CropConfig": "crop_core.records.config",
    "CropEngine": "crop_core.engine.engine",
    "Region": "crop_core.records.region",
    "open_image": "crop_core.io.images",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
