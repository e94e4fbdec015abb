"""Where the bundled files lie: inside the installed package, or in the repository's `assets/`."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_PLACES = (_PACKAGE / "assets", _PACKAGE.parent / "assets")


def bundled(name: str) -> Path:
    """The bundled folder of this name; that of the repository, whether it is there or not, where none is installed."""
    return next((place / name for place in _PLACES if (place / name).is_dir()), _PLACES[-1] / name)
