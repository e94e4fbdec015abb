"""Scenes: what is where, decided by a seed alone; the image is drawn from this description.

Six settings: a sketchbook page, a night, a map, a screen, a table and a chart.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from PIL import Image

from crop_core.evaluate.datasets.independent import grounds
from crop_core.evaluate.datasets.independent.sketches import PICTOGRAMS, SHAPES
from crop_core.evaluate.datasets.independent.tiles import DARK, FONTS, INKS, LIGHT, Tile, draw
from crop_core.train.world.vocabulary import GOODS, NUMBERS, WORDS, Box

SIZES = ((480, 360), (640, 480), (512, 512), (420, 560), (600, 400), (400, 640), (320, 240), (720, 540))
_TRIES = 60  # random places for a thing before it is left out
_FITTING = {  # colors that can be told from the ground of a setting
    "sketch": [color for color in INKS if color != "white"],
    "night": [color for color in INKS if color not in ("black", "blue")],
    "map": [color for color in INKS if color not in ("white", "green")],
    "screen": [color for color in INKS if color != "white"],
}
_MENU = ("File", "Edit", "View", "Help", "Home", "Mail", "Tools", "Search")  # letters that no question asks for


@dataclass(frozen=True)
class Thing:
    """A tile at its place. row: of a table or chart, which its parts share; -1 elsewhere. role: "label", "amount" or
    "bar" of such a row; "" elsewhere.
    """

    tile: Tile
    left: int
    top: int
    row: int = -1
    role: str = ""

    @property
    def box(self) -> Box:
        """Left, top, right, bottom in pixels, the last two exclusive: the tile's ink."""
        width, height = draw(self.tile).size
        return self.left, self.top, self.left + width, self.top + height


@dataclass(frozen=True)
class Scene:
    """One scene. lines: y of the ground's ruled lines, of a table or chart."""

    seed: int
    setting: str
    size: tuple[int, int]
    things: tuple[Thing, ...]
    lines: tuple[int, ...] = ()

    def image(self, without: Iterable[int] = ()) -> Image.Image:
        """The drawn scene, RGB; `without`: indices of things that are left out."""
        image, left_out = grounds.draw_ground(self.setting, self.seed, self.size, self.lines), set(without)
        for index, thing in enumerate(self.things):
            if index not in left_out:
                tile = draw(thing.tile)
                image.paste(tile, (thing.left, thing.top), tile)
        return grounds.finish(image, self.seed)


def make_scene(seed: int) -> Scene:
    """The scene of this seed; settings take turns."""
    setting = list(_SETTINGS)[seed % len(_SETTINGS)]
    rng = random.Random(f"independent {seed}")
    size = rng.choice(SIZES)
    page = _Page(rng, size, grounds.margins(setting, size))
    lines = _SETTINGS[setting](page)
    return Scene(seed, setting, size, tuple(page.things), tuple(lines))


@dataclass
class _Page:
    """Things placed so far; `free` is the box that they may lie in."""

    rng: random.Random
    size: tuple[int, int]
    free: Box
    things: list[Thing] = field(default_factory=list)

    @property
    def unit(self) -> int:
        """A hundredth of the longer side, in pixels."""
        return max(self.size) // 100

    def put_anywhere(self, tile: Tile) -> None:
        """Place a tile at random, clear of the others; leave it out where no room is found."""
        (width, height), gap = draw(tile).size, self.unit
        for _ in range(_TRIES):
            left = self.rng.randint(self.free[0], max(self.free[0], self.free[2] - width))
            top = self.rng.randint(self.free[1], max(self.free[1], self.free[3] - height))
            box = (left - gap, top - gap, left + width + gap, top + height + gap)
            inside = left + width <= self.free[2] and top + height <= self.free[3]
            if inside and not any(_overlap(box, other.box) for other in self.things):
                self.things.append(Thing(tile, left, top))
                return

    def put(self, tile: Tile, left: int, middle: int, row: int, role: str) -> Box:
        """Place a tile of a row: its left edge and the middle of its height; returns its box."""
        thing = Thing(tile, left, middle - draw(tile).height // 2, row, role)
        self.things.append(thing)
        return thing.box


def _overlap(one: Box, other: Box) -> bool:
    """Whether two boxes share a pixel."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _free_scene(setting: str, manners: Sequence[str], plates: tuple[int, int], shapes: tuple[int, int]) -> Callable:
    """A setting of things anywhere: pictograms of which one may repeat, shapes and plates of different colors."""

    def put_all(page: _Page) -> tuple[int, ...]:
        """Place everything; no ruled lines."""
        rng, unit = page.rng, page.unit
        manner = rng.choice(manners)
        colors = rng.sample(_FITTING[setting], len(_FITTING[setting]))
        ink = LIGHT if setting == "night" else DARK
        tiles = []
        for _ in range(rng.randint(*plates)):
            text = rng.choice(NUMBERS if rng.random() < 0.35 else (*WORDS, *GOODS))
            size, font = unit * rng.randint(6, 8), rng.choice(list(FONTS))
            hand = rng.randrange(1000)
            tiles.append(Tile("plate", color=colors.pop(), text=text, size=size, manner=font, hand=hand))
        for name in rng.sample(list(SHAPES), rng.randint(*shapes)):
            size = unit * rng.randint(15, 24)
            tiles.append(Tile("shape", name, colors.pop(), size=size, manner=manner, hand=rng.randrange(1000), ink=ink))
        names = rng.sample(list(PICTOGRAMS), rng.randint(2, 5))
        names += names[:1] * rng.choice((0, 1, 2, 3))
        for name in names:
            size = unit * rng.randint(17, 24)
            tiles.append(Tile("icon", name, size=size, manner=manner, hand=rng.randrange(1000), ink=ink))
        for tile in tiles:
            page.put_anywhere(tile)
        return ()

    return put_all


def _screen(page: _Page) -> tuple[int, ...]:
    """A window: a menu that no question asks for, then pictograms, shapes and buttons."""
    left = page.free[0]
    for word in page.rng.sample(_MENU, 3):
        tile = Tile("words", text=word, size=3 * page.unit, manner="sans", ink=(90, 94, 104))
        left = page.put(tile, left, grounds.bar_height(page.size) // 2 * 3, -1, "menu")[2] + 3 * page.unit
    return _free_scene("screen", ("flat", "inked"), (2, 4), (0, 2))(page)


def _table(page: _Page) -> tuple[int, ...]:
    """Rows of a name and its price, ruled, in one font."""
    rng, (left, top, right, bottom) = page.rng, page.free
    n = rng.randint(3, 6)
    font, ink = rng.choice(list(FONTS)), rng.choice((DARK, (30, 50, 110), (90, 30, 30)))
    pitch = (bottom - top) // n
    size = min(page.unit * rng.randint(9, 11), pitch * 7 // 10)
    rows = [
        [Tile("words", text=text, size=size, manner=font, ink=ink) for text in pair] for pair in _amounts(rng, n, 20)
    ]
    first, last = (max(draw(row[i]).width for row in rows) for i in (0, 1))
    column = rng.randint(left + first + 2 * page.unit, right - last)
    for row, (label, price) in enumerate(rows):
        middle = top + pitch * row + pitch // 2
        page.put(label, left, middle, row, "label")
        page.put(price, column, middle, row, "amount")
    return tuple(top + pitch * row for row in range(n + 1))


def _amounts(rng: random.Random, n: int, most: int) -> list[tuple[str, str]]:
    """Names with different amounts from 1 to `most`."""
    return list(zip(rng.sample(GOODS, n), map(str, rng.sample(range(1, most + 1), n)), strict=True))


def _chart(page: _Page) -> tuple[int, ...]:
    """Lying bars of one color each, a name before them and the value behind."""
    rng, (left, top, right, bottom) = page.rng, page.free
    n, font = rng.randint(3, 5), rng.choice(list(FONTS))
    pitch = (bottom - top) // n
    size = min(7 * page.unit, pitch * 6 // 10)
    rows, colors = _amounts(rng, n, 10), rng.sample(_FITTING["screen"], n)
    labels = [Tile("words", text=name, size=size, manner=font) for name, _ in rows]
    start = left + max(draw(label).width for label in labels) + page.unit * 2
    step = (right - start - 3 * size) // 10
    for row, (label, (_, value), color) in enumerate(zip(labels, rows, colors, strict=True)):
        middle = top + pitch * row + pitch // 2
        page.put(label, start - page.unit * 2 - draw(label).width, middle, row, "label")
        bar = Tile("bar", color=color, width=step * int(value), height=pitch * 6 // 10, hand=rng.randrange(1000))
        end = page.put(bar, start, middle, row, "bar")[2]
        page.put(Tile("words", text=value, size=size, manner=font), end + page.unit * 2, middle, row, "amount")
    return tuple(top + pitch * row + pitch // 2 for row in range(n))


_SETTINGS: dict[str, Callable[[_Page], tuple[int, ...]]] = {
    "sketch": _free_scene("sketch", ("crayon", "inked"), (0, 1), (2, 3)),
    "table": _table,
    "night": _free_scene("night", ("flat", "inked"), (0, 1), (1, 2)),
    "chart": _chart,
    "map": _free_scene("map", ("flat", "inked"), (1, 2), (1, 2)),
    "screen": _screen,
}
SETTINGS = tuple(_SETTINGS)
