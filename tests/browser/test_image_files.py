"""Image files that a browser does not draw, or not as the model sees them."""

from __future__ import annotations

import re

import pytest
from PIL import Image
from pillow_heif import register_heif_opener
from playwright.sync_api import Page, expect

from tests.support import ROOT
from tests.support.browser import done, result, upload
from tests.support.image_files import exif_block, file_bytes, stored, xmp_packet

register_heif_opener()
EXAMPLE = ROOT / "assets" / "examples" / "01.jpg"
SIZE = [336, 252]
BROKEN = "a rational over 0"
FILES = {  # name and MIME type as a browser gives it
    "phone.heic": ("image/heic", lambda image: file_bytes(image, "HEIF")),
    "IMG_0001.HEIC": ("", lambda image: file_bytes(image, "HEIF")),
    "scan.tif": ("image/tiff", lambda image: file_bytes(image, "TIFF", compression="tiff_lzw")),
    "turned.tif": ("image/tiff", lambda image: file_bytes(stored(image, 6), "TIFF", tiffinfo={274: 6})),
    "aerial.jp2": ("image/jp2", lambda image: file_bytes(image, "JPEG2000")),
    "xmp.jpg": ("image/jpeg", lambda image: file_bytes(stored(image, 6), "JPEG", xmp=xmp_packet(6))),
    "dim.jpg": ("image/jpeg", lambda image: file_bytes(stored(image, 6), "JPEG", exif=exif_block(6, BROKEN))),
}


def given(page: Page, name: str) -> None:
    mime, write = FILES[name]
    content = write(Image.open(EXAMPLE).convert("RGB"))
    upload(page, {"name": name, "mimeType": mime, "buffer": content})


@pytest.mark.parametrize("name", FILES)
def test_the_field_shows_what_the_model_sees(page: Page, name: str) -> None:
    given(page, name)
    expect(page.locator(".cx")).to_have_attribute("data-stage", "idle")
    field = page.locator("#image img")
    expect(field).to_have_attribute("src", re.compile("^data:image/"))
    assert field.evaluate("async (image) => (await image.decode(), [image.naturalWidth, image.naturalHeight])") == SIZE


def test_a_phone_s_image_is_answered(page: Page) -> None:
    given(page, "phone.heic")
    page.locator("#question textarea").fill("which thing is between the car and the blue sign?")
    page.get_by_role("button", name="Run", exact=True).click()
    done(page)
    assert list(result(page).crop.trace.image_size) == SIZE


def test_a_file_that_ends_early_is_told_before_and_after_the_answer(page: Page) -> None:
    content = file_bytes(Image.open(EXAMPLE).convert("RGB"), "JPEG", quality=97)[:-15]
    upload(page, {"name": "short.jpg", "mimeType": "image/jpeg", "buffer": content})
    sentence = "'short.jpg': the file ends early: 240 of 252 rows are there."
    expect(page.locator("#message [role=alert]")).to_have_text(sentence)
    page.locator("#question textarea").fill("which thing is between the car and the blue sign?")
    page.get_by_role("button", name="Run", exact=True).click()
    done(page)
    expect(page.locator(".cx-notices")).to_contain_text(sentence)
    assert sentence in result(page).notices
