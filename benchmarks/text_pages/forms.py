"""Forms: a heading and fields, the label before, above or in a table beside its value."""

from __future__ import annotations

import random

from PIL import Image

from benchmarks.text_pages import contents
from benchmarks.text_pages.phrasings import ask
from benchmarks.text_pages.sheet import FAMILIES, INKS, DrawnPage, Sheet, photographed

FIELDS = {  # by name, labels as forms have them
    "name": ("Name", "Full name", "Name of applicant"),
    "birth": ("Date of birth", "Born", "Birth date"),
    "address": ("Address", "Street address", "Street"),
    "city": ("City", "Town / City"),
    "country": ("Country", "Country of residence"),
    "phone": ("Phone", "Tel.", "Telephone", "Phone no."),
    "email": ("Email", "E-mail"),
    "date": ("Date", "Date of issue"),
    "order": ("Order no.", "Order number", "Order #"),
    "invoice": ("Invoice no.", "Invoice number", "Invoice #"),
    "due": ("Due date", "Payment due"),
    "customer": ("Customer no.", "Customer number"),
}
FORMS = {
    "Application form": ("name", "birth", "address", "city", "country", "phone", "email", "date"),
    "Registration": ("name", "address", "city", "phone", "email", "birth"),
    "INVOICE": ("invoice", "date", "due", "customer", "name", "address", "city", "order"),
    "Delivery note": ("order", "date", "customer", "name", "address", "city", "phone"),
}
LAYOUTS = ("beside", "colon", "above", "table", "two columns")


def make_form(rng: random.Random, reporting: bool) -> DrawnPage:
    """One of FORMS in one of LAYOUTS, with three questions."""
    title = rng.choice(list(FORMS))
    fields = {name: (rng.choice(FIELDS[name]), value) for name, value in _values(rng, FORMS[title]).items()}
    sheet = Sheet(Image.new("RGB", (1000, 1180), rng.choice(("#ffffff", "#fbfaf4", "#eef3f8"))), _family(rng), 26)
    sheet.ink = rng.choice(INKS)
    sheet.text(rng.choice((60, 320)), 50, title, "title", rng.uniform(1.5, 2), True)
    _draw(rng, sheet, fields, rng.choice(LAYOUTS))
    chosen = rng.sample(list(fields), 3)
    questions = [(ask(rng, name, reporting), fields[name][1], name) for name in chosen]
    return photographed(rng, "form", sheet, questions)


def _family(rng: random.Random) -> str:
    return rng.choice(list(FAMILIES))


def _values(rng: random.Random, names: tuple[str, ...]) -> dict[str, str]:
    person = contents.person(rng)
    makers = {
        "name": lambda: person,
        "birth": lambda: contents.date(rng),
        "address": lambda: contents.address(rng),
        "city": lambda: contents.city(rng),
        "country": lambda: rng.choice(contents.COUNTRIES),
        "phone": lambda: contents.phone(rng),
        "email": lambda: contents.mail(person),
        "date": lambda: contents.date(rng),
        "order": lambda: contents.code(rng),
        "invoice": lambda: contents.code(rng),
        "due": lambda: contents.date(rng),
        "customer": lambda: str(rng.randint(1000, 99999)),
    }
    return {name: makers[name]() for name in names}


def _draw(rng: random.Random, sheet: Sheet, fields: dict[str, tuple[str, str]], layout: str) -> None:
    bold, y, step = rng.random() < 0.5, 190.0, rng.uniform(95, 115)
    indent = 60 + rng.uniform(300, 380)
    for number, (name, (label, value)) in enumerate(fields.items()):
        x = 60.0
        if layout in ("above", "two columns"):
            x += 470 * (number % 2) if layout == "two columns" else 0
            y = 190 + step * (number // 2 if layout == "two columns" else number)
            sheet.text(x, y, label, "", 0.8, bold)
            sheet.text(x, y + 30, value, name)
            sheet.pen.line((x, y + 68, x + 400, y + 68), (150, 150, 150), 2)
            continue
        y = 190 + step * number
        sheet.text(x, y, label if layout != "colon" else f"{label}:", "", 1, bold)
        after = x + sheet.width(f"{label}: ", 1, bold) + 14 if layout == "colon" else indent
        sheet.text(after, y, value, name)
        if layout == "table":
            sheet.pen.rectangle((44, y - 22, 950, y - 22 + step), outline=(120, 120, 120), width=2)
            sheet.pen.line((indent - 20, y - 22, indent - 20, y - 22 + step), (120, 120, 120), 2)
