"""Pages: letters and notices with a head, sentences and a signature."""

from __future__ import annotations

import random

from PIL import Image

from benchmarks.text_pages import contents
from benchmarks.text_pages.phrasings import ask
from benchmarks.text_pages.sheet import FAMILIES, INKS, DrawnPage, Sheet, photographed

FILLERS = (
    "We would like to thank all members for their help in the past year.",
    "Please let us know if you need any further information about this.",
    "The building can be reached on foot from the station in ten minutes.",
    "Coffee and water will be served in the hall during the breaks.",
    "All documents are kept in the office and can be read there by anyone.",
    "Last year more people came than we had chairs, so please be early.",
)
HEADS = {
    "sender": ("From", "Sender"),
    "recipient": ("To", "Recipient"),
    "date": ("Date",),
    "subject": ("Subject", "Re"),
}
LINE = 880  # pixels of a line of text


def make_letter(rng: random.Random, reporting: bool) -> DrawnPage:
    """A letter or notice with three questions: about its head, its text and its end."""
    sheet = Sheet(
        Image.new("RGB", (1000, 1300), rng.choice(("#ffffff", "#fdfbf3"))),
        rng.choice(list(FAMILIES)),
        26,
        rng.choice(INKS),
    )
    event, sender = rng.choice(contents.EVENTS), contents.person(rng)
    head = {
        "sender": sender,
        "recipient": contents.person(rng),
        "date": contents.date(rng),
        "subject": rng.choice(contents.SUBJECTS),
    }
    title = rng.choice(("NOTICE", "Newsletter", "Invitation", "Memo", "Information"))
    sheet.text(60, 50, title, "title", 2, True)
    y = 150.0
    bold = rng.random() < 0.5
    for name, value in head.items():
        label = f"{rng.choice(HEADS[name])}:"
        sheet.text(60, y, label, "", 1, bold)
        y = sheet.text(60 + (sheet.width(f"{label} ", 1, bold) + 12 if rng.random() < 0.5 else 170), y, value, name)
    clock, room = contents.clock(rng), str(rng.randint(101, 420))
    facts = [(f"The {event} starts at {clock}.", "begins"), (f"The {event} is in room {room}.", "room")]
    y = _sentences(rng, sheet, y + 40, facts)
    y = sheet.text(60, y + 40, rng.choice(("Yours sincerely,", "Kind regards,")))
    sheet.text(60, y + 30, sender, "signed")
    place = rng.choice(("begins", "room"))
    chosen = [rng.choice([*head, "title"]), place, rng.choice([*head])]
    answers = {**head, "title": title, "begins": clock, "room": room}
    questions = [(ask(rng, name, reporting, event), answers[name], name) for name in dict.fromkeys(chosen)]
    return photographed(rng, "page", sheet, questions)


def _sentences(rng: random.Random, sheet: Sheet, y: float, facts: list[tuple[str, str]]) -> float:
    """The facts, each on a line of its own among fillers in paragraphs."""
    for text, name in rng.sample(facts, len(facts)):
        y = _paragraph(sheet, y, " ".join(rng.sample(FILLERS, rng.randint(1, 2)))) + 14
        y = sheet.text(60, y, text, name) + 14
    return _paragraph(sheet, y, rng.choice(FILLERS))


def _paragraph(sheet: Sheet, y: float, text: str) -> float:
    line = ""
    for word in text.split():
        if sheet.width(f"{line} {word}") > LINE:
            y, line = sheet.text(60, y, line), ""
        line = f"{line} {word}".strip()
    return sheet.text(60, y, line)
