"""Crop the images of README and docs/tour.md from the screenshots that the browser tests save.

make test ARGS=tests/browser/test_looks.py
.venv/bin/python docs/tour.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

DOCS = Path(__file__).resolve().parent
SHOTS = DOCS.parent / "build" / "screenshots"
MAX_WIDTH = 900  # pixels
TOUR = {  # image: (screenshot, left, top, right, bottom), 0 for its edge
    "explore": ("answered-desktop-light", 380, 122, 0, 1232),
    "costs": ("places-desktop-light", 380, 1447, 0, 2360),
    "layers": ("two_layers-desktop-dark", 380, 1250, 0, 3185),
    "places": ("places-desktop-light", 380, 2771, 0, 3419),
    "methods": ("methods-desktop-light", 380, 122, 0, 1412),
    "budget": ("budget-desktop-dark", 380, 122, 0, 1000),
    "lesson": ("lesson-desktop-light", 0, 122, 0, 920),
    "files": ("files-desktop-light", 380, 2853, 0, 3903),
    "phone": ("answered-phone-dark", 0, 0, 0, 1619),
}


def main() -> None:
    """Write docs/tour/*.webp."""
    (DOCS / "tour").mkdir(exist_ok=True)
    for name, (shot, left, top, right, bottom) in TOUR.items():
        with Image.open(SHOTS / f"{shot}.png") as image:
            part = image.convert("RGB").crop((left, top, right or image.width, bottom or image.height))
        part.thumbnail((MAX_WIDTH, 10 * MAX_WIDTH))
        part.save(DOCS / "tour" / f"{name}.webp", quality=58, method=6)


if __name__ == "__main__":
    main()
