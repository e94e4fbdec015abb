"""Receipts: a narrow strip with a shop, its goods with prices at the right, and totals."""

from __future__ import annotations

import random

from PIL import Image

from benchmarks.text_pages import contents
from benchmarks.text_pages.phrasings import ask
from benchmarks.text_pages.sheet import INKS, DrawnPage, Sheet, photographed

TOTALS = {
    "subtotal": ("Subtotal", "SUBTOTAL", "Sub total"),
    "tax": ("Tax", "VAT 20%", "Sales tax"),
    "total": ("TOTAL", "Total", "Amount due", "Total to pay"),
    "cash": ("Cash", "CASH"),
    "change": ("Change", "CHANGE"),
}
LEFT, RIGHT = 50, 650


def make_receipt(rng: random.Random, reporting: bool) -> DrawnPage:
    """A receipt of 3 to 9 goods, with three questions: about a good, a total and the rest."""
    goods = {name: rng.randint(60, 1999) for name in rng.sample(contents.GOODS, rng.randint(3, 9))}
    sheet = Sheet(
        Image.new("RGB", (700, 700 + 46 * len(goods)), rng.choice(("#ffffff", "#f7f5ee"))),
        rng.choice(("mono", "mono", "sans", "pillow", "times")),
        26,
        rng.choice(INKS),
    )
    sign = rng.choice(("", "", "$", "£"))
    y, head = _heading(rng, sheet)
    y, rows = _rows(rng, sheet, y + 24, goods, sign)
    item = rng.choice(list(goods))
    total = rng.choice(list(rows))
    other = rng.choice(list(head))
    tax = ask(rng, total, reporting)
    questions = [
        (ask(rng, "item", reporting, item.lower()), contents.amount(goods[item], sign), item),
        (tax, rows[total], total),
        (ask(rng, other, reporting), head[other], other),
    ]
    return photographed(rng, "receipt", sheet, questions)


def _heading(rng: random.Random, sheet: Sheet) -> tuple[float, dict[str, str]]:
    """Shop, address, phone, date; where it ends, and the texts by name."""
    texts = {"shop": contents.company(rng), "address": contents.address(rng), "city": contents.city(rng)}
    y = 40.0
    for name, text in texts.items():
        scale, bold = (1.4, True) if name == "shop" else (1.0, False)
        y = sheet.text(350 - sheet.width(text, scale, bold) / 2, y, text, name, scale, bold)
    more = {"phone": contents.phone(rng), "date": contents.date(rng)}
    label = {"phone": rng.choice(("Tel. ", "Phone: ", "")), "date": rng.choice(("Date: ", "", "Date "))}
    for name, text in more.items():
        line = label[name] + text
        y = sheet.text(350 - sheet.width(line) / 2, y, line, name)
    return y, {**{key: texts[key] for key in ("shop",)}, **more}


def _rows(rng: random.Random, sheet: Sheet, y: float, goods: dict[str, int], sign: str) -> tuple[float, dict[str, str]]:
    """Goods and totals; where they end, and the amounts of the totals by name."""
    counted, dots = rng.random() < 0.4, rng.random() < 0.3
    for name, cents in goods.items():
        left = f"{rng.randint(1, 3)} x {name}" if counted else name
        y = _row(sheet, y, left, contents.amount(cents, sign), name, dots=dots)
    sheet.pen.line((LEFT, y + 4, RIGHT, y + 4), (120, 120, 120), 2)
    sums, y = _sums(rng, sum(goods.values())), y + 20
    for name, cents in sums.items():
        big = 1.25 if name == "total" and rng.random() < 0.6 else 1.0
        y = _row(sheet, y, rng.choice(TOTALS[name]), contents.amount(cents, sign), name, big, name == "total")
    sheet.text(LEFT + 140, y + 30, rng.choice(("Thank you!", "Please come again", "Have a nice day")))
    return y, {name: contents.amount(cents, sign) for name, cents in sums.items()}


def _sums(rng: random.Random, cents: int) -> dict[str, int]:
    tax = round(cents * 0.2)
    given = (cents + tax + 999) // 500 * 500
    every = {"subtotal": cents, "tax": tax, "total": cents + tax, "cash": given, "change": given - cents - tax}
    return every if rng.random() < 0.6 else {key: every[key] for key in ("subtotal", "tax", "total")}


def _row(
    sheet: Sheet, y: float, left: str, right: str, name: str, scale: float = 1.0, bold: bool = False, dots: bool = False
) -> float:
    sheet.text(LEFT, y, left, "", scale, bold)
    if dots:
        start, end = LEFT + sheet.width(left, scale, bold) + 12, RIGHT - sheet.width(right, scale, bold) - 12
        for x in range(round(start), round(end), 14):
            sheet.pen.rectangle((x, y + 22, x + 2, y + 24), (110, 110, 110))
    return sheet.text(RIGHT, y, right, name, scale, bold, right=True)
