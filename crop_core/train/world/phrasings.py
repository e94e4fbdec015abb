"""Phrasings of questions: several a form, and others for held-out questions.

Every word of a held-out phrasing occurs in a training phrasing; its word order does not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

TRAINING: dict[str, tuple[str, ...]] = {
    "where": (
        "what is {where} the {name}?",
        "which object is {where} the {name}?",
        "what do you see {where} the {name}?",
        "what can be seen {where} the {name}?",
        "which thing is {where} the {name}?",
    ),
    "nearest": (
        "what is nearest to the {name}?",
        "what is closest to the {name}?",
        "which object is nearest to the {name}?",
        "which thing is closest to the {name}?",
    ),
    "between": (
        "what is between the {name} and the {other}?",
        "which object is between the {name} and the {other}?",
        "what do you see between the {name} and the {other}?",
    ),
    "corner": (
        "what is in the {corner} corner?",
        "which object is in the {corner} corner?",
        "what do you see in the {corner} corner?",
        "what can be found in the {corner} corner?",
    ),
    "center": (
        "what is in the center?",
        "what is in the middle of the picture?",
        "which object is in the center of the picture?",
        "what do you see in the middle?",
    ),
    "color": (
        "what color is the {name}?",
        "what is the color of the {name}?",
        "which color does the {name} have?",
    ),
    "text": (
        "what is written on the {color} sign?",
        "what does the {color} sign say?",
        "what can you read on the {color} sign?",
        "which words are on the {color} sign?",
    ),
    "number": ("what is written on the {color} sign?", "which number is on the {color} sign?"),
    "count": (
        "how many {names} are there?",
        "how many {names} do you see?",
        "how many {names} are in the picture?",
        "what is the number of {names}?",
    ),
    "exist": (
        "is there {a} {name}?",
        "do you see {a} {name}?",
        "is there {a} {name} in the picture?",
        "can {a} {name} be seen?",
    ),
    "higher": (
        "which bar is {more}, the {name} or the {other}?",
        "which is {more}, the {name} bar or the {other} bar?",
        "what is {more}, the {name} or the {other}?",
    ),
    "highest": (
        "which bar is the {most}?",
        "what is the {most} bar?",
        "which is the {most} bar of the chart?",
        "what bar is the {most}?",
        "which is the {most} bar?",
        "which bar in the picture is the {most}?",
        "what is the {most} bar in the picture?",
        "what is the {most} bar on the chart?",
    ),
    "cheaper": (
        "which is {more}, the {name} or the {other}?",
        "what is {more}, the {name} or the {other}?",
        "which item is {more}, the {name} or the {other}?",
    ),
    "cheapest": (
        "which item is the {most}?",
        "what is the {most} item?",
        "what is the {most} item on the list?",
        "what item is the {most}?",
        "which item in the picture is the {most}?",
        "which is the {most} item in the picture?",
    ),
    "value": (
        "what is the value of the {name} bar?",
        "which value does the {name} bar have?",
        "what is the value of the {name}?",
        "how much is the {name} bar?",
    ),
    "price": (
        "how much is the {name}?",
        "what is the price of the {name}?",
        "what does the {name} cost?",
        "which price does the {name} have?",
    ),
    "color of what is where": (
        "what color is the {thing} {where} the {name}?",
        "what is the color of the {thing} {where} the {name}?",
        "which color does the {thing} {where} the {name} have?",
    ),
    "text of what is where": (
        "what is written on the sign {where} the {name}?",
        "what does the sign {where} the {name} say?",
    ),
    "total": (
        "how many objects are there?",
        "how many objects do you see?",
        "how many things are there in the picture?",
        "what is the number of objects in the picture?",
    ),
    "background": (
        "what is the background?",
        "what is in the background?",
        "which background do you see?",
        "what does the background show?",
    ),
}
HELD_OUT: dict[str, tuple[str, ...]] = {
    "where": ("which object can be seen {where} the {name}?", "which thing do you see {where} the {name}?"),
    "nearest": ("which object is closest to the {name}?", "which thing is nearest to the {name}?"),
    "between": ("which thing is between the {name} and the {other}?",),
    "corner": ("which thing can be seen in the {corner} corner?", "what can be seen in the {corner} corner?"),
    "center": ("which thing is in the middle?", "what can be seen in the center of the picture?"),
    "color": ("which color is the {name}?", "what color does the {name} have?"),
    "text": ("what can be read on the {color} sign?", "what is on the {color} sign?"),
    "number": ("what number is on the {color} sign?",),
    "count": ("how many {names} can be seen?", "what number of {names} do you see?"),
    "exist": ("can you see {a} {name}?", "do you see {a} {name} in the picture?"),
    "higher": ("what bar is {more}, the {name} or the {other}?", "what is {more}, the {name} bar or the {other} bar?"),
    "highest": ("which bar of the chart is the {most}?", "which bar on the chart is the {most}?"),
    "cheaper": ("what item is {more}, the {name} or the {other}?",),
    "cheapest": ("which is the {most} item?", "which item on the list is the {most}?"),
    "value": ("what value does the {name} bar have?",),
    "price": ("how much does the {name} cost?", "what price does the {name} have?"),
    "color of what is where": (
        "which color is the {thing} {where} the {name}?",
        "what color does the {thing} {where} the {name} have?",
    ),
    "text of what is where": ("what can you read on the sign {where} the {name}?",),
    "total": ("how many things do you see?", "how many objects are in the picture?"),
    "background": ("what background do you see?", "which background does the picture show?"),
}
WHERE = {
    "left of": (0, -1),
    "to the left of": (0, -1),
    "right of": (0, 1),
    "to the right of": (0, 1),
    "above": (-1, 0),
    "over": (-1, 0),
    "below": (1, 0),
    "under": (1, 0),
}  # (rows, columns) of one step
CORNERS = ("top left", "top right", "bottom left", "bottom right")
# (more, less), of two objects and of all: for upright bars, lying bars, and prices.
COMPARATIVES = {
    "standing": (("higher", "taller"), ("lower", "shorter")),
    "lying": (("longer",), ("shorter",)),
    "list": (("more expensive",), ("cheaper",)),
}
SUPERLATIVES = {
    "standing": (("highest", "tallest"), ("lowest", "shortest")),
    "lying": (("longest",), ("shortest",)),
    "list": (("most expensive",), ("cheapest",)),
}


@contextmanager
def in_words_of(phrasings: Mapping[str, tuple[str, ...]]) -> Iterator[None]:
    """Context in which held-out questions are put in other phrasings, by form."""
    own = dict(HELD_OUT)
    HELD_OUT.update(phrasings)
    try:
        yield
    finally:
        HELD_OUT.update(own)


def ask(rng: random.Random, form: str, held_out: bool, **words: str) -> str:
    """A question of this form in one of its phrasings."""
    return rng.choice((HELD_OUT if held_out else TRAINING)[form]).format(**words)
