"""What exists in the bundled models' world: names of things, records of a scene. Knows nothing of drawing or torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

EMOJI = {
    "cat": "🐱", "dog": "🐶", "rabbit": "🐰", "fox": "🦊", "panda": "🐼", "lion": "🦁", "pig": "🐷", "frog": "🐸",
    "monkey": "🐵", "chicken": "🐔", "penguin": "🐧", "octopus": "🐙", "turtle": "🐢", "bee": "🐝",
    "pizza": "🍕", "burger": "🍔", "apple": "🍎", "banana": "🍌", "watermelon": "🍉", "carrot": "🥕", "cake": "🎂",
    "donut": "🍩", "car": "🚗", "bus": "🚌", "train": "🚆", "rocket": "🚀", "boat": "⛵", "tractor": "🚜", "ball": "⚽",
    "guitar": "🎸", "umbrella": "☔", "key": "🔑", "clock": "⏰", "book": "📕", "phone": "📱", "gift": "🎁",
    "house": "🏠", "tree": "🌳", "sunflower": "🌻", "crown": "👑",
}  # fmt: skip
SHAPES = ("circle", "triangle", "star", "diamond", "cross")
COLORS = {
    "red": (215, 35, 35), "blue": (40, 80, 220), "green": (35, 150, 60), "yellow": (245, 215, 40),
    "orange": (245, 135, 20), "purple": (140, 50, 180), "black": (25, 25, 25), "white": (250, 250, 250),
}  # fmt: skip
NUMBERS = tuple("0123456789")
WORDS = ("stop", "exit", "open", "taxi", "cafe", "shop", "park", "sale")
TEXTS = NUMBERS + WORDS
CATEGORIES = (*EMOJI, *SHAPES, "sign")

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class SceneObject:
    """One thing in a scene.

    `kind` is "emoji", "shape" or "sign"; `name` its category; `color` and `text` are None where the kind has none;
    `row` and `column` its place in the scene's loose layout; `box` (left, top, right, bottom) in pixels, right and
    bottom exclusive.
    """

    kind: str
    name: str
    color: str | None
    text: str | None
    row: int
    column: int
    box: Box


@dataclass(frozen=True)
class Scene:
    """A drawn picture, everything in it, and the size of the loose layout it was drawn on."""

    image: Image.Image
    objects: tuple[SceneObject, ...]
    rows: int
    columns: int

    @property
    def counts(self) -> dict[str, int]:
        """How often each category occurs."""
        counts: dict[str, int] = {}
        for thing in self.objects:
            counts[thing.name] = counts.get(thing.name, 0) + 1
        return counts


def plural(name: str) -> str:
    """The plural of a category name; the world has only regular ones."""
    return name + ("es" if name.endswith(("x", "s", "ss")) else "s")


def article(name: str) -> str:
    """`a` or `an`, as the name wants it."""
    return "an" if name[0] in "aeio" or name == "umbrella" else "a"
