"""Vocabulary of the bundled models' world: names of objects, records of a scene. Knows nothing of drawing or torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from PIL import Image

EMOJI = {
    "cat": "🐱", "dog": "🐶", "rabbit": "🐰", "fox": "🦊", "panda": "🐼", "lion": "🦁", "pig": "🐷", "frog": "🐸",
    "monkey": "🐵", "chicken": "🐔", "penguin": "🐧", "octopus": "🐙", "turtle": "🐢", "bee": "🐝", "bird": "🐦",
    "pizza": "🍕", "burger": "🍔", "apple": "🍎", "banana": "🍌", "watermelon": "🍉", "carrot": "🥕", "cake": "🎂",
    "donut": "🍩", "car": "🚗", "bus": "🚌", "train": "🚆", "rocket": "🚀", "boat": "⛵", "tractor": "🚜", "ball": "⚽",
    "guitar": "🎸", "umbrella": "☔", "key": "🔑", "clock": "⏰", "book": "📕", "phone": "📱", "gift": "🎁",
    "house": "🏠", "tree": "🌳", "sunflower": "🌻", "crown": "👑", "balloon": "🎈", "cloud": "☁️", "moon": "🌙",
}  # fmt: skip
SHAPES = ("circle", "triangle", "star", "diamond", "cross")
COLORS = {
    "red": (215, 35, 35), "blue": (40, 80, 220), "green": (35, 150, 60), "yellow": (245, 215, 40),
    "orange": (245, 135, 20), "purple": (140, 50, 180), "black": (25, 25, 25), "white": (250, 250, 250),
}  # fmt: skip
NUMBERS = tuple(str(number) for number in range(21))
WORDS = ("stop", "exit", "open", "taxi", "cafe", "shop", "park", "sale")  # a sign of one word
MANNERS, GOODS, TAILS = (
    ("fresh", "hot", "cold", "new", "free", "big"),
    ("tea", "milk", "bread", "soup", "fish", "rice", "juice", "salad"),
    ("today", "here", "now"),
)  # a sign of two or three words: "fresh bread today"; goods also label bars and stand in price lists
TEXTS = (*NUMBERS, *WORDS, *MANNERS, *GOODS, *TAILS)
CATEGORIES = (*EMOJI, *SHAPES, "sign", "bar")
BACKGROUNDS = ("plain", "stripes", "dots", "checks", "street", "room")

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Mark:
    """One visible piece of an object: its category, color and text (None where it has none) and its box."""

    box: Box
    category: str | None = None
    color: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class SceneObject:
    """One object in a scene.

    `kind` is "emoji", "shape", "sign", "bar" (of a chart) or "row" (of a price list); `name` its category, or the label
    of a bar or row; `color` and `text` (the words of a sign, the value of a bar, the price in a row) are None where
    the kind has none. `row` and `column` are its place in the scene's loose layout; `box` (left, top, right, bottom) in
    pixels, right and bottom exclusive. `marks` are its visible pieces; without any, the object is one piece.
    """

    kind: str
    name: str
    color: str | None
    text: str | None
    row: int
    column: int
    box: Box
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class DiscardedImage:
    """Placeholder for an image that was dropped to save memory."""

    size: tuple[int, int]


@dataclass(frozen=True)
class Scene:
    """A drawn image, everything in it, and the size of the loose layout it was drawn on.

    `setting` is "free", "street", "room", "chart" or "list"; `background` one of BACKGROUNDS, or None where it
    has no name. `shown` are the boxes that a cut-out image still shows, or None for a whole image.
    """

    image: Image.Image
    objects: tuple[SceneObject, ...]
    rows: int
    columns: int
    setting: str = "free"
    background: str | None = None
    shown: tuple[Box, ...] | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Number of objects of each name."""
        counts: dict[str, int] = {}
        for thing in self.objects:
            counts[thing.name] = counts.get(thing.name, 0) + 1
        return counts

    def without_image(self) -> Scene:
        """The scene without its image's pixels, to store thousands of them."""
        return replace(self, image=cast("Image.Image", DiscardedImage(self.image.size)))


def plural(name: str) -> str:
    """The plural of a category name; the world has only regular ones."""
    return name + ("es" if name.endswith(("x", "s", "ss")) else "s")


def article(name: str) -> str:
    """`a` or `an`, for a name."""
    return "an" if name[0] in "aeio" or name == "umbrella" else "a"
