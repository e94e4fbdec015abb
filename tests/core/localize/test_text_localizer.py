"""The text localizer with its real networks, on small drawings; and what it says where it cannot help."""

import builtins
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from crop_core.localize import TextLocalizer, named_localizer
from crop_core.localize.text import localizer as text_localizer
from crop_core.localize.text import reader
from crop_core.localize.text.reader import TextReader, decoded, text_quads
from crop_core.models import ModelError
from crop_core.records.localizers import LOCALIZERS, READER, TEXT
from crop_core.records.region import Region

FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"
TOTAL = {"Milk": (40, 40), "1.20": (300, 40), "TOTAL": (40, 160), "5.52": (300, 160), "Thank you": (120, 240)}


def page(texts, size=(400, 300), height=24, ground="white", ink="black", font="DejaVuSans"):
    """A page with texts at their top left corners."""
    image = Image.new("RGB", size, ground)
    own = ImageFont.truetype(str(FONTS / f"{font}.ttf"), height)
    for text, place in texts.items():
        ImageDraw.Draw(image).text(place, text, ink, own)
    return image


@pytest.fixture(scope="module")
def localizer():
    return TextLocalizer()


def covers(region, image, box):
    needed = Region.from_box(box, *image.size, "predicted")
    return region.x0 <= needed.x0 and region.y0 <= needed.y0 and region.x1 >= needed.x1 and region.y1 >= needed.y1


def test_the_row_of_a_total(localizer):
    image = page(TOTAL)
    result = localizer.localize(image, "what is the total?")
    assert covers(result.region, image, (300, 160, 360, 184)) and result.region.source == "predicted"
    assert (result.region.y0, result.region.y1) == (4, 4) and 0.8 < result.region.confidence <= 1
    assert result.notices == (text_localizer.TRUST,) and result.flops is None
    items = {each.label.replace(" ", ""): each for each in result.explanation.items}  # spaces may be lost
    assert set(items) == {"Milk", "1.20", "TOTAL", "5.52", "Thankyou"}
    assert {label: each.reason for label, each in items.items() if each.chosen} == {
        "TOTAL": "like “total”",
        "5.52": "beside “TOTAL”",
    }
    (x0, y0), _, (x1, y1), _ = items["5.52"].corners
    assert x0 < 304 and x1 > 352 and y0 < 168 and y1 > 180 and items["5.52"].score > 0.8
    assert result.explanation.summary == "5 lines of text read, 2 of them chosen."
    assert localizer.localize_region(image, "what is the total?") == result.region


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_page_that_lies_on_its_side_or_head(localizer, degrees):
    image = page(TOTAL)
    box = {90: (160, 40, 184, 100), 180: (40, 116, 100, 140), 270: (116, 300, 140, 360)}[degrees]
    turned = image.rotate(degrees, expand=True)
    result = localizer.localize(turned, "what is the total?")
    assert {each.label for each in result.explanation.chosen} == {"TOTAL", "5.52"}
    assert covers(result.region, turned, box) and not result.region.is_whole


def test_a_sign_by_its_color(localizer):
    image = Image.new("RGB", (400, 300), (150, 150, 140))
    for text, plate, (x, y) in (("EXIT", (200, 30, 30), (20, 20)), ("TAXI", (40, 80, 210), (220, 160))):
        ImageDraw.Draw(image).rectangle((x, y, x + 150, y + 90), plate)
        font = ImageFont.truetype(str(FONTS / "DejaVuSans-Bold.ttf"), 36)
        ImageDraw.Draw(image).text((x + 26, y + 24), text, "white", font)
    for color, box in (("red", (20, 20, 170, 110)), ("blue", (220, 160, 370, 250))):
        region = localizer.localize_region(image, f"what does the {color} sign say?")
        assert covers(region, image, box) and region.x1 - region.x0 <= 4 and region.y1 - region.y0 <= 3


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F", "HSV", "YCbCr"])
def test_images_of_every_mode(localizer, mode):
    region = localizer.localize_region(page(TOTAL).convert("L").convert(mode), "what is the total?")
    assert region.y0 == region.y1 == 4


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGB", (300, 200), "white"),
        Image.new("RGB", (1, 1)),
        Image.new("RGB", (7, 5), "red"),
        Image.new("RGB", (2000, 20), "gray"),
        Image.new("RGB", (16, 1600), "gray"),
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)),
    ],
    ids=lambda image: f"{image.width}x{image.height}",
)
def test_without_text_the_region_is_the_whole_image(localizer, image):
    result = localizer.localize(image, "what does it say?")
    assert result.region == Region.whole(*image.size)
    assert result.notices[0] in (text_localizer.NO_TEXT, text_localizer.UNREADABLE)
    assert not result.explanation.chosen


def test_a_strip_of_text_is_read(localizer):
    image = page({"PLATFORM 9 TO CENTRAL STATION": (20, 4)}, (1200, 40))
    result = localizer.localize(image, "what is the platform number?")
    assert "PLATFORM" in result.explanation.chosen[0].label and not result.region.is_whole


def test_what_does_not_fit_and_what_it_cannot_know_is_told(localizer):
    image = page(TOTAL)
    result = localizer.localize(image, "who is the pope?")
    assert result.region.is_whole and result.region.confidence is None
    assert result.notices == (text_localizer.NO_MATCH.format(lines="5 lines"),)
    assert localizer.localize(image, "сколько стоит хлеб?").notices == (text_localizer.OTHER_SCRIPT,)


def test_without_its_packages_one_sentence_tells_what_to_install(monkeypatch):
    monkeypatch.setattr(reader, "find_spec", lambda name: None)
    text_localizer.shared_reader.cache_clear()
    with pytest.raises(ModelError, match=r"pip install --no-deps rapidocr-onnxruntime==1\.4\.4"):
        named_localizer("text", None)


def test_a_package_without_its_networks_is_told(monkeypatch, tmp_path):
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})
    monkeypatch.setattr(reader, "find_spec", lambda name: spec)
    with pytest.raises(ModelError, match=r"lacks ch_PP-OCRv4_det_infer\.onnx"):
        TextReader()


def test_neither_package_is_imported_before_a_reader_is_made(monkeypatch):
    for name in [each for each in sys.modules if each.partition(".")[0] in READER]:
        monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", lambda name, *rest: _refused(name) or real(name, *rest))
    assert LOCALIZERS[TEXT].installed


def _refused(name):
    assert name.partition(".")[0] not in READER


def test_the_map_of_text_becomes_turned_boxes():
    heat = np.zeros((100, 200), np.float32)
    heat[40:50, 20:120] = 0.9
    heat[70:72, 20:22] = 0.9  # too small
    heat[80:95, 20:100] = 0.35  # too faint
    (quad,) = text_quads(heat)
    left, top = quad.min(0)
    right, bottom = quad.max(0)
    assert 10 < left < 16 and 124 < right < 132 and 31 < top < 37 and 53 < bottom < 59


def test_letters_are_decoded_by_ctc():
    alphabet = ["", "a", "b", " "]
    steps = [1, 1, 0, 1, 2, 2, 0, 0]
    probabilities = np.full((len(steps), 4), 0.05, np.float32)
    probabilities[np.arange(len(steps)), steps] = [0.8, 0.9, 0.9, 0.6, 1.0, 0.9, 0.9, 0.9]
    text, score = decoded(probabilities, alphabet)
    assert text == "aab" and score == pytest.approx((0.8 + 0.6 + 1.0) / 3)
    assert decoded(np.eye(4, dtype=np.float32)[[0, 0]], alphabet) == ("", 0.0)
