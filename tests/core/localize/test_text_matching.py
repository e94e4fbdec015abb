"""Which lines a question is about: lines of ours on pages of ours, turned and not; no network reads them."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from crop_core.localize.text.colours import Plate, likeness, plate_of
from crop_core.localize.text.lines import Line, reading_quad, turned
from crop_core.localize.text.matching import match
from crop_core.localize.text.page import Page
from crop_core.localize.text.rules import asked

NO_PLATE = Plate((95.0, 0.0, 0.0), (10.0, 0.0, 0.0), None)
RECEIPT = {
    "Corner Shop": (60, 10, 240, 40),
    "(914) 555-6161": (80, 50, 220, 66),
    "Milk": (10, 80, 60, 96),
    "1.20": (250, 80, 290, 96),
    "Green Tea": (10, 100, 90, 116),
    "3.40": (250, 100, 290, 116),
    "SUBTOTAL": (10, 130, 90, 146),
    "4.60": (250, 130, 290, 146),
    "Tax": (10, 150, 40, 166),
    "0.92": (250, 150, 290, 166),
    "TOTAL": (10, 170, 70, 186),
    "5.52": (250, 170, 290, 186),
}
FORM = {
    "Application": (10, 10, 200, 44),
    "Full name": (10, 60, 80, 74),
    "Anna Keller": (10, 78, 100, 94),
    "Date of birth": (200, 60, 290, 74),
    "12 May 1990": (200, 78, 300, 94),
    "Date": (10, 110, 40, 124),
    "01/02/2024": (10, 128, 90, 144),
    "Order no.": (200, 110, 270, 124),
    "BE51906": (200, 128, 280, 144),
    "The meeting is in room 204.": (10, 180, 200, 196),
    "We meet again next year.": (10, 200, 200, 216),
}

PASS = {  # values under a row of labels
    "AERONOVA": (10, 10, 140, 40),
    "PASSENGER": (10, 60, 100, 74),
    "FLIGHT": (150, 60, 200, 74),
    "Kowalski": (10, 78, 110, 98),
    "AN482": (150, 78, 210, 98),
    "FROM": (10, 120, 50, 134),
    "TO": (150, 120, 170, 134),
    "CLASS": (240, 120, 290, 134),
    "Krakow": (10, 138, 80, 158),
    "Lisbon": (150, 138, 210, 158),
    "Economy": (240, 138, 310, 158),
    "Best before: 03.2026": (10, 180, 170, 194),
}
LEAGUE = {  # a table with heads
    "Team": (10, 10, 60, 24),
    "Played": (150, 10, 200, 24),
    "Won": (220, 10, 250, 24),
    "Points": (280, 10, 330, 24),
    "Ashgrove": (10, 34, 90, 48),
    "18": (160, 34, 180, 48),
    "8": (230, 34, 240, 48),
    "29": (290, 34, 310, 48),
    "Norbury": (10, 58, 80, 72),
    "17": (160, 58, 180, 72),
    "7": (230, 58, 240, 72),
    "27": (290, 58, 310, 72),
    "Wexley": (10, 82, 80, 96),
    "16": (160, 82, 180, 96),
    "5": (230, 82, 240, 96),
    "21": (290, 82, 310, 96),
}
INVOICE = {  # a count before the price; values over small labels
    "Oak shelf": (10, 10, 90, 26),
    "3": (150, 10, 160, 26),
    "85.00": (200, 10, 250, 26),
    "255.00": (300, 10, 360, 26),
    "17/02/1988": (10, 120, 100, 138),
    "Irish": (200, 120, 240, 138),
    "Date of birth": (10, 142, 80, 152),
    "Nationality": (200, 142, 260, 152),
    "Carpenter": (10, 160, 90, 178),
}


def lines_of(texts, degrees=0.0):
    """Lines by text and box, the page turned clockwise by so many degrees around its corner."""
    radians = np.deg2rad(degrees)
    turn = np.array([[np.cos(radians), np.sin(radians)], [-np.sin(radians), np.cos(radians)]])
    quads = [np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float) @ turn for x0, y0, x1, y1 in texts.values()]
    return [Line(quad, text, 0.99) for quad, text in zip(quads, texts, strict=True)]


def chosen(question, texts, degrees=0.0):
    lines = lines_of(texts, degrees)
    return {lines[each.line].text for each in match(asked(question), Page(lines), lambda number: NO_PLATE)}


@pytest.mark.parametrize("degrees", [0, 7, -12, 90, 180, 270])
@pytest.mark.parametrize(
    ("question", "page", "wanted"),
    [
        ("what is the total?", RECEIPT, {"TOTAL", "5.52"}),
        ("what is the subtotal?", RECEIPT, {"SUBTOTAL", "4.60"}),
        ("how much is the milk?", RECEIPT, {"Milk", "1.20"}),
        ("what is the price of the green tea?", RECEIPT, {"Green Tea", "3.40"}),
        ("what is the phone number?", RECEIPT, {"(914) 555-6161"}),
        ("what is the name of the shop?", RECEIPT, {"Corner Shop"}),
        ("what is the name?", FORM, {"Full name", "Anna Keller"}),
        ("what is the date of birth?", FORM, {"Date of birth", "12 May 1990"}),
        ("what is the date?", FORM, {"Date", "01/02/2024"}),
        ("what is the order number?", FORM, {"Order no.", "BE51906"}),
        ("in which room is the meeting?", FORM, {"The meeting is in room 204."}),
        ("what is the title?", FORM, {"Application"}),
        ("what is below the date of birth?", FORM, {"Date of birth", "Anna Keller", "12 May 1990"}),
        ("what stands above the order number?", FORM, {"Order no.", "Anna Keller", "12 May 1990"}),
        ("what is the capital of France?", FORM, set()),
        ("where is the flight going?", PASS, {"TO", "Lisbon"}),
        ("who is travelling?", PASS, {"PASSENGER", "Kowalski"}),
        ("when does it expire?", PASS, {"Best before: 03.2026"}),
        ("what airline is it?", PASS, {"AERONOVA"}),
        ("which team is in third place?", LEAGUE, {"Wexley"}),
        ("which team is last?", LEAGUE, {"Wexley"}),
        ("how many games did Norbury win?", LEAGUE, {"Norbury", "17", "7", "27"}),
        ("how much does one oak shelf cost?", INVOICE, {"Oak shelf", "85.00"}),
        ("what costs 85.00?", INVOICE, {"85.00", "3"}),
        ("when was he born?", INVOICE, {"17/02/1988", "Date of birth"}),
        ("what is the phone number?", INVOICE, set()),
    ],
)
def test_the_line_that_is_asked_for(question, page, wanted, degrees):
    assert chosen(question, page, degrees) == wanted


def test_everything_at_the_top_and_at_the_bottom():
    signs = {"NO": (10, 10, 60, 40), "PARKING": (10, 50, 120, 80)}
    assert chosen("what does the sign say?", signs) == {"NO", "PARKING"}
    assert chosen("what is on the first line?", signs) == {"NO"}
    assert chosen("what is written at the bottom?", signs) == {"PARKING"}


def test_reasons_are_told():
    lines = lines_of(RECEIPT)
    told = {lines[each.line].text: each.reason for each in match(asked("what is the total?"), Page(lines), None)}
    assert told == {"TOTAL": "like “total”", "5.52": "beside “TOTAL”"}


def test_no_lines_and_lines_that_could_not_be_read_match_nothing():
    assert match(asked("what is the total?"), Page([]), None) == []
    unread = [Line(each.quad, each.text, 0.2) for each in lines_of(RECEIPT)]
    assert match(asked("what is the total?"), Page(unread), None) == []


def drawn(plates):
    """An image with plates by color name and box, and a line of bars, like letters, on each."""
    image = Image.new("RGB", (400, 300), (150, 150, 140))
    pen = ImageDraw.Draw(image)
    lines = []
    for plate, ink, (x, y) in plates:
        pen.rectangle((x, y, x + 120, y + 60), plate)
        for bar in range(6):
            pen.rectangle((x + 20 + 14 * bar, y + 20, x + 26 + 14 * bar, y + 40), ink)
        quad = np.array([[x + 14, y + 14], [x + 106, y + 14], [x + 106, y + 46], [x + 14, y + 46]], float)
        lines.append(Line(quad, "sign", 0.95))
    return np.asarray(image), lines


def test_a_sign_is_known_by_the_color_of_its_plate_or_of_its_letters():
    white, black, red, blue = (250, 250, 250), (20, 20, 20), (200, 30, 30), (40, 80, 210)
    pixels, lines = drawn([(red, white, (10, 10)), (white, blue, (200, 10)), (black, white, (10, 150))])
    own = [plate_of(pixels, line) for line in lines]
    names = ("red", "blue", "black", "white", "green", "yellow")
    told = [max(names, key=lambda name: likeness(plate, name)) for plate in own]
    assert told == ["red", "blue", "black"]
    assert likeness(own[0], "green") == 0
    for plate, (x, y) in zip(own, ((10, 10), (200, 10), (10, 150)), strict=True):
        assert plate.box == pytest.approx((x, y, x + 120, y + 60), abs=5)
    for place, name in enumerate(told):
        question = asked(f"what does the {name} sign say?")
        assert [each.line for each in match(question, Page(lines), own.__getitem__)] == [place]
    assert match(asked("what does the green sign say?"), Page(lines), own.__getitem__) == []


def test_a_page_is_no_plate():
    image = Image.new("RGB", (400, 300), (250, 250, 250))
    ImageDraw.Draw(image).rectangle((180, 140, 220, 150), (0, 0, 0))
    quad = np.array([[170, 130], [230, 130], [230, 160], [170, 160]], float)
    assert plate_of(np.asarray(image), Line(quad, "x", 0.9)).box is None


@pytest.mark.parametrize(("degrees", "size"), [(0, (100, 20)), (90, (20, 100)), (10, (100, 20)), (80, (20, 100))])
def test_a_box_is_read_along_its_long_side_from_the_left(degrees, size):
    quad = reading_quad(np.array([50.0, 50.0]), size, degrees)
    line = Line(quad, "", 0.0)
    assert line.direction[0] > 90 and line.height == pytest.approx(20)
    assert turned(turned(quad)).tolist() == quad.tolist()
    assert Line(turned(quad), "", 0.0).direction[0] < -90


def test_a_standing_box_is_read_downwards_and_a_square_one_from_the_left():
    assert Line(reading_quad(np.zeros(2), (20, 100), 0), "", 0).direction.tolist() == pytest.approx([0, 100])
    assert Line(reading_quad(np.zeros(2), (20, 24), 0), "", 0).direction.tolist() == pytest.approx([20, 0])
