"""Signs in front of walls, skies and streets: plates of different colors with words or a number."""

from __future__ import annotations

import random

from PIL import Image, ImageDraw

from benchmarks.text_pages import contents
from benchmarks.text_pages.phrasings import ask
from benchmarks.text_pages.sheet import FAMILIES, Colour, DrawnPage, Sheet, font, photographed

PLATES: dict[str, Colour] = {
    "red": (196, 38, 38),
    "blue": (36, 82, 190),
    "green": (28, 122, 60),
    "yellow": (240, 205, 40),
    "orange": (238, 126, 24),
    "purple": (118, 52, 160),
    "black": (26, 26, 28),
    "white": (246, 246, 244),
}
DARK_INK = ("yellow", "white", "orange")  # plates with black letters
GROUNDS: tuple[Colour, ...] = ((140, 150, 160), (176, 160, 140), (120, 134, 116), (190, 204, 216), (150, 120, 104))
SIZE = (1000, 760)


def make_signs(rng: random.Random, reporting: bool) -> DrawnPage:
    """One to five signs on a grid of places, with up to three questions."""
    ground = rng.choice(GROUNDS)
    sheet = Sheet(_wall(rng, ground), rng.choice(list(FAMILIES)), 40)
    colours = rng.sample(list(PLATES), rng.choice((1, 2, 3, 4, 5)))
    places = rng.sample([(column, row) for column in range(3) for row in range(3)], len(colours))
    texts = {}
    for colour, place in zip(colours, places, strict=True):
        texts[colour] = str(rng.randint(1, 250)) if rng.random() < 0.35 else rng.choice(contents.SIGNS)
        _sign(rng, sheet, colour, texts[colour], place)
    if len(colours) == 1:
        (colour,) = colours
        return photographed(
            rng, "sign", sheet, [(ask(rng, "only sign", reporting), texts[colour], colour)], turns=False
        )
    asked = rng.sample(colours, min(3, len(colours)))
    forms = {colour: "sign number" if texts[colour].isdigit() else "sign" for colour in asked}
    questions = [(ask(rng, forms[colour], reporting, colour), texts[colour], colour) for colour in asked]
    return photographed(rng, "sign", sheet, questions, turns=False)


def _wall(rng: random.Random, ground: Colour) -> Image.Image:
    """A wall of bricks or planks, or a street under the sky."""
    image = Image.new("RGB", SIZE, ground)
    pen = ImageDraw.Draw(image)
    darker = tuple(max(0, part - rng.randint(10, 26)) for part in ground)
    kind = rng.choice(("bricks", "planks", "street", "plain"))
    if kind == "bricks":
        for row in range(0, SIZE[1], 42):
            pen.line((0, row, SIZE[0], row), darker, 3)
            for x in range(-60 + 45 * (row // 42 % 2), SIZE[0], 90):
                pen.line((x, row, x, row + 42), darker, 3)
    elif kind == "planks":
        for x in range(0, SIZE[0], 110):
            pen.line((x, 0, x, SIZE[1]), darker, 4)
    elif kind == "street":
        pen.rectangle((0, 500, *SIZE), (88, 88, 92))
        for x in range(-40, SIZE[0], 170):
            pen.rectangle((x, rng.randint(180, 360), x + 140, 500), tuple(rng.randint(110, 190) for _ in range(3)))
    return image


def _sign(rng: random.Random, sheet: Sheet, colour: str, text: str, place: tuple[int, int]) -> None:
    """A plate in one of nine places; its words on one line or two."""
    lines = text.split() if " " in text and rng.random() < 0.6 else [text]
    height, bold = rng.randint(38, 54), rng.random() < 0.6
    own = font(sheet.family, height, bold)
    while max(own.getlength(line) for line in lines) > 270:
        height -= 2
        own = font(sheet.family, height, bold)
    width, tall = max(own.getlength(line) for line in lines) + 44, 1.25 * height * len(lines) + 36
    column, row = place
    x = column * 333 + rng.uniform(6, max(7.0, 327 - width))
    y = row * 250 + rng.uniform(6, max(7.0, 244 - tall))
    box = (x, y, x + width, y + tall)
    ink: Colour = (20, 20, 20) if colour in DARK_INK else (248, 248, 248)
    sheet.pen.rounded_rectangle(box, rng.choice((0, 12)), PLATES[colour], ink, rng.choice((0, 4)))
    for number, line in enumerate(lines):
        top = y + 18 + 1.25 * height * number
        sheet.pen.text((x + width / 2 - own.getlength(line) / 2, top), line, ink, own)
    sheet.remember(colour, box)
