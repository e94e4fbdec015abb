"""Boxes in the forms that annotations have: the same cells for all of them, and a word where numbers mean others."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crop_core.records.region import BOX_FORMS, Region
from crop_core.train.localizer.boxes import PIXELS, SHARES, THOUSANDTHS, XYWH, BoxReader, in_pixels
from crop_core.train.localizer.data import agreed_size, read
from crop_core.train.localizer.settings import TuneError

SIZE = (1600, 800)
FORMS = {  # of left x, top y, right r and bottom b in pixels: the form that is stated, and the value
    "a list": (None, lambda x, y, r, b: [[x, y, r, b]]),
    "one box": (None, lambda x, y, r, b: [x, y, r, b]),
    "two boxes": (None, lambda x, y, r, b: [[x, y, x + 1, y + 1], [r - 1, b - 1, r, b]]),
    "json text": (None, lambda x, y, r, b: json.dumps([[x, y, r, b]])),
    "numbers": (None, lambda x, y, r, b: f"{x},{y}, {r},{b}"),
    "spaces": (None, lambda x, y, r, b: f"{x} {y} {r} {b}"),
    "python": (None, lambda x, y, r, b: repr([{"xmin": x, "ymin": y, "xmax": r, "ymax": b}])),
    "tuple": (None, lambda x, y, r, b: f"({x}, {y}, {r}, {b})"),
    "sides": (None, lambda x, y, r, b: {"x": x, "y": y, "width": r - x, "height": b - y}),
    "short sides": (None, lambda x, y, r, b: [{"x": x, "y": y, "w": r - x, "h": b - y}]),
    "corners": (None, lambda x, y, r, b: [{"left": x, "top": y, "right": r, "bottom": b, "label": "dog"}]),
    "x1": (None, lambda x, y, r, b: {"x1": x, "y1": y, "x2": r, "y2": b}),
    "x0": (None, lambda x, y, r, b: {"x0": x, "y0": y, "x1": r, "y1": b}),
    "polygon": (None, lambda x, y, r, b: [[x, y, r, y, r, b, x, b]]),
    "points": (None, lambda x, y, r, b: [[r, b], [x, b], [(x + r) / 2, y]]),
    "two corners": (None, lambda x, y, r, b: [[r, y], [x, b]]),
    "labelme": (None, lambda x, y, r, b: [{"points": [[r, b], [x, y]], "shape_type": "rectangle"}]),
    "pixels, stated": (PIXELS, lambda x, y, r, b: [[x, y, r, b]]),
    "coco": (XYWH, lambda x, y, r, b: [x, y, r - x, b - y]),
    "coco, a polygon beside": (XYWH, lambda x, y, r, b: [[x, y, r - x, b - y], [x, y, r, y, r, b]]),
    "shares": (SHARES, lambda x, y, r, b: [[x / 1600, y / 800, r / 1600, b / 800]]),
    "shares as an object": (
        SHARES, lambda x, y, r, b: {"x": x / 1600, "y": y / 800, "w": (r - x) / 1600, "h": (b - y) / 800}
    ),
    "thousandths": (THOUSANDTHS, lambda x, y, r, b: [[x / 1.6, y / 0.8, r / 1.6, b / 0.8]]),
}  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    x=st.lists(st.integers(0, 1600), min_size=2, max_size=2, unique=True).map(sorted),
    y=st.lists(st.integers(0, 800), min_size=2, max_size=2, unique=True).map(sorted),
    name=st.sampled_from(list(FORMS)),
)
def test_a_box_in_any_accepted_form_gives_the_same_cells(x, y, name):
    box = x[0], y[0], x[1], y[1]
    form, value = FORMS[name]
    if form is None and x[0] == y[0] == 0:
        return  # a pixel at the corner has to be stated
    assert BoxReader(form).cells("", value(*box), SIZE) == Region.from_box(box, *SIZE, "predicted").grid


@pytest.mark.parametrize(
    "value", ["", "x", [], {}, None, 3, "[[1, 2", [[]], [1, 2, 3], [[1, 2, 3, 4, 5]], {"x": 1}, [True] * 4]
)
def test_what_is_no_box_is_told(value):
    with pytest.raises(TuneError, match=r"^box"):
        in_pixels(value, PIXELS, SIZE)


def rows_in(folder, *boxes, size=(336, 252), **more):
    Image.new("RGB", size).save(folder / "a.png")
    rows = [{"image": "a.png", "question": "?", "boxes": [box], **more} for box in boxes]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "rows.jsonl"


def test_shares_are_not_taken_for_pixels(tmp_path):
    file = rows_in(tmp_path, *[[0.1, 0.2, 0.5, 0.6]] * 3)
    with pytest.raises(TuneError) as told:
        read(file)
    assert (
        "3 skipped (line 1: box [0.1, 0.2, 0.5, 0.6] in 336 x 252 is less than a pixel; boxes are left, top, "
        in str(told.value)
    )
    assert "say --boxes shares (or xywh, thousandths)" in str(told.value)
    assert [each.grid for each in read(file, boxes="shares")[0]] == [(0, 1, 3, 4)] * 3
    assert [each.grid for each in read(file, boxes="pixels")[0]] == [(0, 0, 0, 0)] * 3


def test_a_corner_of_a_few_pixels_stays_one(tmp_path):
    found, _ = read(rows_in(tmp_path, [0, 0, 1, 1], size=(8, 8)))
    assert found[0].grid == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("boxes", "advice"),
    [
        (
            [[40, 30, 20, 10], [10, 10, 90, 60], [100, 50, 40, 20]],
            "else --boxes xywh (left, top, width, height in pixels).",
        ),
        ([[400, 200, 600, 300], [10, 10, 900, 600], [10, 10, 90, 60]], "else --boxes thousandths (the same as"),
        (
            [[40, 30, 20, 10], [400, 20, 2000, 30]],
            "else --boxes xywh (left, top, width, height in pixels) or --boxes shares",
        ),
    ],
)
def test_many_boxes_that_cannot_be_pixels_refuse_the_file(tmp_path, boxes, advice):
    file = rows_in(tmp_path, *boxes)
    with pytest.raises(TuneError) as told:
        read(file)
    assert f"2 of {len(boxes)} rows of '{file}' have boxes that leave their image or are upside down" in str(told.value)
    assert (
        f"line 1: [{boxes[0]}] in 336 x 252; if they are left, top, right, bottom in pixels, say --boxes pixels"
        in str(told.value)
    )
    assert advice in str(told.value)


def test_stated_pixels_are_believed_and_few_doubtful_boxes_too(tmp_path):
    found, skipped = read(rows_in(tmp_path, [40, 30, 20, 10], [300, 200, 900, 900], [10, 10, 90, 60]), boxes="pixels")
    assert [each.grid for each in found] == [(7, 6, 7, 7), (0, 0, 2, 1)] and skipped.count == 1
    fine = [[10, 10, 90, 60]] * 8
    assert len(read(rows_in(tmp_path, *fine, [40, 30, 20, 10], [0, 0, 900, 900]))[0]) == 9
    drawn_over = [[-3, -3, 340, 256]] * 5  # by hand, a little beyond the border
    assert len(read(rows_in(tmp_path, *drawn_over))[0]) == 5


def test_a_name_with_two_meanings_has_to_be_stated(tmp_path):
    Image.new("RGB", (336, 252)).save(tmp_path / "a.png")
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"image": "a.png", "question": "?", "bbox": [42, 63, 42, 63]}))
    with pytest.raises(TuneError, match="its 'bbox' or 'box' may be left, top, right, bottom or x, y, width, height"):
        read(file)
    assert read(file, boxes="xywh")[0][0].grid == (1, 2, 1, 3)


def test_a_table_of_boxes(tmp_path):
    Image.new("RGB", (160, 80)).save(tmp_path / "a.png")
    rows = ["Image;Question;Boxes;Width", 'a.png;what?;"[[40, 20, 60, 30]]";', "a.png;what?;40 20 60 30;"]
    (tmp_path / "rows.csv").write_text("\n".join(rows))
    found, skipped = read(tmp_path / "rows.csv")
    assert [each.grid for each in found] == [(2, 2, 2, 2)] * 2 and skipped.count == 0


@pytest.mark.parametrize(
    ("stated", "fits"),
    [
        ((336, 252), True), ((672, 504), True), ((200, 150), True), ((201, 151), True), ((1023, 767), True),
        ((252, 336), False), ((336, 336), False), ((336, 200), False),
    ],
)  # fmt: skip
def test_the_size_of_a_row_and_its_image_agree(tmp_path, stated, fits):
    file = rows_in(tmp_path, [40, 30, 160, 120], width=stated[0], height=stated[1])
    if fits:
        assert read(file)[0][0].grid == Region.from_box((40, 30, 160, 120), *stated).grid
        return
    with pytest.raises(
        TuneError, match=rf"width and height are {stated[0]} x {stated[1]}, and the upright image is 336 x 252"
    ):
        read(file)


def test_sizes_are_those_of_the_upright_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 160)).save(tmp_path / "turned.jpg", exif=exif)
    assert agreed_size((320, 160), tmp_path / "turned.jpg") == (320, 160)
    with pytest.raises(
        TuneError, match="80 x 160, and the upright image is 160 x 80, the wrong way round; give the size"
    ):
        agreed_size((80, 160), tmp_path / "turned.jpg")


def test_every_form_has_a_meaning():
    assert list(BOX_FORMS) == [PIXELS, XYWH, SHARES, THOUSANDTHS]
