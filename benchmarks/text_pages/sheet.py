"""A sheet that remembers where its texts lie, and the camera that turns, shrinks and spoils it.

Fonts are those of matplotlib and Pillow, so that pages look the same everywhere.
"""

from __future__ import annotations

import io
import math
import random
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Colour = tuple[int, int, int]
Points = NDArray[np.float64]  # (K, 2) pixels
FAMILIES = {  # regular and bold
    "sans": ("DejaVuSans", "DejaVuSans-Bold"),
    "serif": ("DejaVuSerif", "DejaVuSerif-Bold"),
    "mono": ("DejaVuSansMono", "DejaVuSansMono-Bold"),
    "times": ("STIXGeneral", "STIXGeneralBol"),
    "italic": ("STIXGeneralItalic", "STIXGeneralBolIta"),
    "oblique": ("DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    "pillow": ("", ""),  # the font inside Pillow
}
INKS: tuple[Colour, ...] = ((20, 20, 24), (35, 35, 60), (60, 50, 45))
TURNS = {"straight": 0.55, "tilted": 0.33, "quarter": 0.08, "upside down": 0.04}


@lru_cache(maxsize=256)
def font(family: str, size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """A font of FAMILIES, `size` pixels high."""
    name = FAMILIES[family][bold]
    if not name:
        own = ImageFont.load_default(size)
        assert isinstance(own, ImageFont.FreeTypeFont)  # noqa: S101  Pillow has FreeType wherever this runs
        return own
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"), size)


@dataclass(frozen=True)
class Asked:
    """A question whose answer stands in `box` (left, top, right, bottom in pixels, inside the image)."""

    question: str
    answer: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class DrawnPage:
    """kind: "form", "receipt", "page" or "sign". turn: one of TURNS. small, noisy: how it was spoiled."""

    kind: str
    image: Image.Image
    asked: tuple[Asked, ...]
    turn: str
    small: bool
    noisy: bool


@dataclass(eq=False)
class Sheet:
    """Paper to draw on. places: the corners (4, 2) of every named text or plate."""

    image: Image.Image
    family: str
    size: int  # pixels of its ordinary text
    ink: Colour = INKS[0]
    places: dict[str, Points] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pen = ImageDraw.Draw(self.image)

    def width(self, text: str, scale: float = 1.0, bold: bool = False) -> float:
        """Of a text, in pixels."""
        return self._font(scale, bold).getlength(text)

    def text(
        self, x: float, y: float, text: str, name: str = "", scale: float = 1.0, bold: bool = False, right: bool = False
    ) -> float:
        """Write a line with its top left corner, or else its top right one, at (x, y); returns where the next begins.
        name: under which its place is remembered.
        """
        own = self._font(scale, bold)
        x -= own.getlength(text) if right else 0
        self.pen.text((x, y), text, self.ink, own)
        if name:
            self.remember(name, self.pen.textbbox((x, y), text, own))
        return y + 1.5 * scale * self.size

    def remember(self, name: str, box: tuple[float, float, float, float]) -> None:
        """Keep the place of a thing."""
        left, top, right, bottom = box
        self.places[name] = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)

    def _font(self, scale: float, bold: bool) -> ImageFont.FreeTypeFont:
        return font(self.family, max(6, round(scale * self.size)), bold)


def photographed(
    rng: random.Random, kind: str, sheet: Sheet, questions: list[tuple[str, str, str]], turns: bool = True
) -> DrawnPage:
    """The sheet as a camera or scanner sees it. questions: (question, answer, name of its place)."""
    turn = rng.choices(list(TURNS), list(TURNS.values()))[0] if turns else rng.choice(("straight", "tilted"))
    degrees = {"straight": rng.uniform(-0.7, 0.7), "tilted": rng.choice((-1, 1)) * rng.uniform(1.5, 9)}.get(turn)
    if degrees is None:
        degrees = 180.0 if turn == "upside down" else rng.choice((90.0, 270.0))
    small, noisy = rng.random() < 0.3, rng.random() < 0.4
    image, matrix = _turned(sheet.image, degrees, _table(rng))
    image, matrix = _scaled(
        image, matrix, rng.uniform(9, 11.5) / sheet.size if small else rng.uniform(14, 20) / sheet.size
    )
    image = _spoiled(rng, image, noisy)
    asked = tuple(Asked(q, answer, _box(sheet.places[name], matrix, image.size)) for q, answer, name in questions)
    return DrawnPage(kind, image, asked, turn, small, noisy)


def _table(rng: random.Random) -> Colour:
    """What a sheet lies on."""
    grey = rng.randint(60, 200)
    return grey, max(0, grey - rng.randint(0, 25)), max(0, grey - rng.randint(0, 45))


def _turned(image: Image.Image, degrees: float, around: Colour) -> tuple[Image.Image, Points]:
    """The image turned counterclockwise, and the affine matrix (2, 3) of its points."""
    width, height = image.size
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix = np.array([[cos, sin], [-sin, cos]])
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float) @ matrix.T
    shift, size = -corners.min(0), np.ceil(corners.max(0) - corners.min(0) - 1e-6).astype(int)
    back = matrix.T
    offset = -back @ shift
    data = (back[0, 0], back[0, 1], offset[0], back[1, 0], back[1, 1], offset[1])
    turned = image.transform(
        (int(size[0]), int(size[1])), Image.Transform.AFFINE, data, Image.Resampling.BICUBIC, fillcolor=around
    )
    return turned, np.column_stack([matrix, shift])


def _scaled(image: Image.Image, matrix: Points, scale: float) -> tuple[Image.Image, Points]:
    size = [max(16, round(side * scale)) for side in image.size]
    across, down = size[0] / image.width, size[1] / image.height
    return image.resize((size[0], size[1]), Image.Resampling.LANCZOS), matrix * [[across], [down]]


def _spoiled(rng: random.Random, image: Image.Image, noisy: bool) -> Image.Image:
    """Light from one side and JPEG; if noisy, the noise of a phone in the evening and a little blur as well."""
    pixels = np.asarray(image.convert("RGB")).astype(float)
    slope = np.linspace(1, rng.uniform(0.75, 1.0), pixels.shape[1])[None, :, None]
    pixels *= slope if rng.random() < 0.5 else slope[:, ::-1]
    if noisy:
        pixels += np.random.default_rng(rng.randrange(2**32)).normal(0, rng.uniform(8, 20), pixels.shape)
    spoiled = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    if noisy and rng.random() < 0.5:
        spoiled = spoiled.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.7)))
    file = io.BytesIO()
    spoiled.save(file, "JPEG", quality=rng.randint(45 if noisy else 75, 92))
    return Image.open(file).convert("RGB")


def _box(corners: Points, matrix: Points, size: tuple[int, int]) -> tuple[float, float, float, float]:
    moved = corners @ matrix[:, :2].T + matrix[:, 2]
    (left, top), (right, bottom) = (moved.min(0).clip(0, size).tolist(), moved.max(0).clip(0, size).tolist())
    return left, top, right, bottom
