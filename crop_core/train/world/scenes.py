"""Scenes: objects on a loose layout, streets, rooms, charts and price lists in many styles. Same seed, same scene."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from PIL import Image

from crop_core.train.world import drawing
from crop_core.train.world.charts import make_chart
from crop_core.train.world.price_lists import make_price_list
from crop_core.train.world.style import Style, finish, pick_style
from crop_core.train.world.vocabulary import (
    COLORS,
    EMOJI,
    GOODS,
    MANNERS,
    NUMBERS,
    SHAPES,
    TAILS,
    WORDS,
    Box,
    Mark,
    Scene,
    SceneObject,
)

SIDE = 336  # pixels of the longer side of every image
LAYOUTS = ((4, 4), (4, 4), (3, 3), (3, 4), (4, 3), (2, 4), (4, 2))  # (rows, columns)
CROWDED = ((5, 4), (4, 5), (5, 5))
OUTDOORS, INDOORS = ((4, 4), (3, 4), (4, 3)), ((4, 4), (3, 4), (4, 3))
_SETTINGS = {"free": 34, "crowd": 14, "street": 12, "room": 12, "chart": 14, "list": 14}
_SKY = ("bird", "cloud", "moon", "balloon", "rocket", "bee")
_YARD = ("house", "tree", "sunflower", "boat", "umbrella")
_WALK = ("cat", "dog", "rabbit", "fox", "pig", "chicken", "turtle", "penguin", "ball", "gift")
_ROAD = ("car", "bus", "tractor", "train")
_WALL = ("clock", "guitar", "umbrella", "sunflower", "balloon")
_SHELF = ("book", "key", "phone", "gift", "crown", "ball", "clock")
_TABLE = ("pizza", "burger", "apple", "banana", "watermelon", "carrot", "cake", "donut")
_FLOOR = ("cat", "dog", "rabbit", "ball", "chicken", "turtle", "frog", "gift")


def make_scene(seed: int, held_out: bool = False, setting: str | None = None) -> Scene:
    """The scene of this seed: its image (longer side 336 px, sides within 1:2 to 2:1) and everything in it.

    `held_out` draws it in a held-out style. `setting` replaces the seed's; "signs", a page full of signs, is for
    training the vision towers to read only.
    """
    rng = random.Random(seed)
    style = pick_style(rng, held_out)
    setting = setting or rng.choices(list(_SETTINGS), list(_SETTINGS.values()))[0]
    if setting == "chart":
        scene = make_chart(rng, style.sprites, style.outlined)
    elif setting == "list":
        scene = make_price_list(rng, style.sprites, style.outlined)
    else:
        scene = _laid_out(rng, setting, style)
    return finish(rng, scene, style)


def _laid_out(rng: random.Random, setting: str, style: Style) -> Scene:
    """Objects on a loose layout: anywhere, or in the rows where they belong."""
    if setting in ("street", "room"):
        rows, columns = rng.choice(OUTDOORS if setting == "street" else INDOORS)
        width, height, _ = _size(rows, columns)
        drawer = drawing.draw_street if setting == "street" else drawing.draw_room
        page = _Page(rng, drawer(rng, width, height, rows), rows, columns, style, stands=True)
        for row, thing in _belonging(rng, setting, rows):
            page.put_in_row(thing, row)
        return Scene(page.image, tuple(page.objects), rows, columns, setting, setting)
    rows, columns = rng.choice({"crowd": CROWDED, "signs": (*LAYOUTS, *CROWDED)}.get(setting, LAYOUTS))
    width, height, _ = _size(rows, columns)
    background = rng.choice(("plain", "plain", "stripes", "dots", "checks"))
    page = _Page(rng, drawing.draw_background(rng, background, width, height), rows, columns, style)
    if setting == "signs":
        things = [_sign(rng, rng.choice(list(COLORS)), words=3) for _ in range(rows * columns - 1)]
    elif setting == "crowd":
        things = _things(rng, rng.randint(10, 20), words=1)
    else:
        things = _things(rng, rng.randint(4, min(9, rows * columns - 1)), words=3)
    for thing, place in zip(things, rng.sample(page.free, len(things)), strict=True):
        page.put(thing, place)
    return Scene(page.image, tuple(page.objects), rows, columns, "free", background)


def _size(rows: int, columns: int) -> tuple[int, int, int]:
    """Width and height of an image, and the side of one of its square places."""
    place = SIDE // max(rows, columns)
    width, height = (SIDE if n == max(rows, columns) else n * place for n in (columns, rows))
    return width, height, place


@dataclass(frozen=True)
class _Object:
    kind: str
    name: str
    color: str | None = None
    text: str | None = None


def _sign(rng: random.Random, color: str, words: int) -> _Object:
    """A sign with a number, a word, or two or three words."""
    n = rng.randint(1, words)
    if n == 1:
        return _Object("sign", "sign", color, rng.choice(NUMBERS if rng.random() < 0.4 else WORDS))
    parts = [rng.choice(MANNERS), rng.choice(GOODS), rng.choice(TAILS)]
    return _Object("sign", "sign", color, " ".join(parts[:n]))


def _things(rng: random.Random, n: int, words: int) -> list[_Object]:
    """The objects of a free scene; in half of the scenes one emoji occurs two to five times."""
    names, shapes, colors = rng.sample(list(EMOJI), n + 1), rng.sample(SHAPES, 3), rng.sample(list(COLORS), 8)
    copies = rng.randint(2, 5) if rng.random() < 0.5 else 0
    things = [_Object("emoji", names.pop())] * min(copies, n)
    signs = n_shapes = 0
    while len(things) < n:
        pick = rng.random()
        if pick < 0.30 and signs < 3:
            things.append(_sign(rng, colors[signs], words))
            signs += 1
        elif pick < 0.50 and n_shapes < 3:
            things.append(_Object("shape", shapes[n_shapes], colors[3 + n_shapes]))
            n_shapes += 1
        else:
            things.append(_Object("emoji", names.pop()))
    return things


def _belonging(rng: random.Random, setting: str, rows: int) -> list[tuple[int, _Object]]:
    """The objects of a street or a room with their rows: each name once, except one that may repeat."""
    middle = [_YARD, _WALK] if setting == "street" else [_SHELF, _TABLE]
    zones = [_SKY, *middle, _ROAD] if setting == "street" else [_WALL, *middle, _FLOOR]
    if rows == 3:
        zones.pop(rng.choice((1, 2)))
    objects: list[tuple[int, _Object]] = []
    colors = rng.sample(list(COLORS), 3)
    taken: set[str] = set()
    for row, zone in enumerate(zones):
        names = [name for name in rng.sample(zone, len(zone)) if name not in taken]
        picked = names[: rng.randint(1, 3)]
        if rng.random() < 0.2:
            picked = picked[:1] * rng.randint(2, 3)
        taken.update(picked)
        objects += [(row, _Object("emoji", name)) for name in picked]
        if colors and len(picked) < 3 and rng.random() < 0.45:
            objects.append((row, _sign(rng, colors.pop(), 3)))
    return objects


@dataclass
class _Page:
    """An image to draw objects on; with `stands`, they stand on the bottom line of their row."""

    rng: random.Random
    image: Image.Image
    rows: int
    columns: int
    style: Style
    stands: bool = False
    objects: list[SceneObject] = field(default_factory=list)
    free: list[tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.free = [(row, column) for row in range(self.rows) for column in range(self.columns)]

    def put_in_row(self, thing: _Object, row: int) -> None:
        """Draw an object at a free place of the row, if there is one."""
        places = [place for place in self.free if place[0] == row]
        if places:
            place = self.rng.choice(places)
            self.free.remove(place)
            self.put(thing, place)

    def put(self, thing: _Object, place: tuple[int, int]) -> None:
        """Draw an object at random within its place and record its boxes."""
        drawn, words = self._draw(thing)
        side = _size(self.rows, self.columns)[2]
        left = round(place[1] * self.image.width / self.columns) + int(self.rng.uniform(0, side - drawn.width))
        offset = 0.9 * (side - drawn.height) if self.stands else self.rng.uniform(0, side - drawn.height)
        top = round(place[0] * self.image.height / self.rows) + int(offset)
        self.image.paste(drawn, (left, top), drawn)
        box = (left, top, left + drawn.width, top + drawn.height)
        marks: tuple[Mark, ...] = ()
        if words:
            plate = Mark(box, category="sign", color=thing.color)
            texts = (thing.text or "").split()
            marks = (plate, *(Mark(_shift(w, left, top), text=t) for w, t in zip(words, texts, strict=True)))
        self.objects.append(SceneObject(thing.kind, thing.name, thing.color, thing.text, *place, box, marks))

    def _draw(self, thing: _Object) -> tuple[Image.Image, list[Box]]:
        rng, side, outlined = self.rng, _size(self.rows, self.columns)[2], self.style.outlined
        if thing.kind == "emoji":
            size, turn = side * rng.uniform(0.6, 0.93), rng.uniform(-6, 6) if self.stands else rng.uniform(-18, 18)
            image = drawing.draw_emoji(thing.name, self.style.sprites, min(int(size), 96), turn, outlined)
        elif thing.kind == "shape":
            image = drawing.draw_shape(thing.name, thing.color or "", int(side * rng.uniform(0.5, 0.86)), outlined)
        else:
            lines = len((thing.text or "").split())
            share = rng.uniform(0.72, 0.95) if lines == 1 else rng.uniform(0.9, 1.0)
            image, words = drawing.draw_sign(thing.color or "", thing.text or "", 2 * int(side * share / 2), outlined)
            return image, list(words)
        if max(image.size) > side:
            image = image.copy()
            image.thumbnail((side, side))
        return image, []


def _shift(box: Box, dx: int, dy: int) -> Box:
    return (box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy)
