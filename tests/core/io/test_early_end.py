"""Files that end early: opened with a notice as long as most rows are there."""

from __future__ import annotations

import io
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from crop_core.io.images import MIN_ROWS, ImageError, image_notices, image_size, open_image
from tests.support.image_files import exif_block, file_bytes, jpeg_segment, png_chunk, stored, with_chunk, with_segment

EXAMPLE = Path("assets/examples/01.jpg")
SIZE = (336, 252)
KINDS = {  # format and settings; all but BMP store the first row first
    "JPEG": ("JPEG", {"quality": 97}),
    "grey JPEG": ("JPEG", {"quality": 90}),
    "CMYK JPEG": ("JPEG", {"quality": 90}),
    "JPEG with restarts": ("JPEG", {"quality": 90, "restart_marker_rows": 1}),
    "PNG": ("PNG", {}),
    "GIF": ("GIF", {"interlace": 0}),
    "WebP": ("WEBP", {"quality": 90}),
    "lossless WebP": ("WEBP", {"lossless": True}),
    "WebP with transparency": ("WEBP", {"quality": 90}),
    "TIFF": ("TIFF", {}),
    "16-bit TIFF": ("TIFF", {}),
    "PPM": ("PPM", {}),
    "BMP": ("BMP", {}),
}
MODES = {"grey JPEG": "L", "CMYK JPEG": "CMYK", "WebP with transparency": "RGBA", "16-bit TIFF": "I;16"}
NOT_CUT = {"JPEG": 16, "WEBP": 12}  # rows before a cut that a decoder smooths over


@pytest.fixture(scope="module", name="photo")
def _photo() -> Image.Image:
    return Image.open(EXAMPLE).convert("RGB")


@pytest.fixture(scope="module")
def files(photo: Image.Image) -> dict[str, bytes]:
    """Whole files of all kinds."""
    rgba = photo.copy()
    rgba.putalpha(Image.linear_gradient("L").resize(SIZE))
    deep = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
    images = {"RGBA": rgba, "I;16": deep, **{mode: photo.convert(mode) for mode in ("RGB", "L", "CMYK")}}
    return {
        name: file_bytes(images[MODES.get(name, "RGB")], kind, **options) for name, (kind, options) in KINDS.items()
    }


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=int)


def rows_of(image: Image.Image) -> int:
    """The rows in the image's notice, all of them without one."""
    sentences = image_notices([image])
    if not sentences:
        return image.height
    (sentence,) = sentences
    found = re.fullmatch(r"The file ends early: (\d+) of (\d+) rows are there\.", sentence)
    assert found and int(found[2]) == image.height
    return int(found[1])


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.02, 0.999))
@example(share=0.35451952201596304)  # between two intervals of "JPEG with restarts"
def test_the_rows_of_the_notice_are_those_of_the_whole_file(kind: str, share: float, files: dict[str, bytes]) -> None:
    whole = files[kind]
    cut = whole[: int(len(whole) * share)]
    try:
        image = open_image(cut)
    except ImageError:
        event("refused")
        return
    rows, wanted = rows_of(image), pixels(open_image(whole))
    assert image.size == SIZE and rows >= MIN_ROWS * image.height
    same = (pixels(image) == wanted).reshape(len(wanted), -1).all(1)
    if kind == "BMP":  # last row first
        same = same[::-1]
    assert same[: rows - NOT_CUT.get(KINDS[kind][0], 0)].all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_lost_bytes_hide_nothing(kind: str, files: dict[str, bytes], tmp_path: Path) -> None:
    for lost in (1, 15):
        path = tmp_path / "short"
        path.write_bytes(files[kind][:-lost])
        image = open_image(path)
        assert image.size == image_size(path) == SIZE
        assert rows_of(open_image(path.read_bytes())) >= 233
        difference = np.abs(pixels(image) - pixels(open_image(files[kind])))
        assert difference.mean() < 1.5


@pytest.mark.parametrize("kind", KINDS)
def test_a_half_is_refused(kind: str, files: dict[str, bytes]) -> None:
    with pytest.raises(ImageError, match="damaged or incomplete"):
        open_image(files[kind][: len(files[kind]) // 2])


def test_the_notice_names_file_and_rows(photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "short.jpg"
    path.write_bytes(file_bytes(photo, "JPEG", quality=97)[:-15])
    image = open_image(path)
    assert image_notices([image]) == ["'short.jpg': the file ends early: 240 of 252 rows are there."]
    path.write_bytes(path.read_bytes()[:7000])
    with pytest.raises(ImageError) as caught:
        open_image(path)
    assert re.search(r"'short.jpg' is damaged .* ends early, and only \d+ of 252 rows are there\.$", str(caught.value))


def test_the_notice_stays_with_the_image(photo: Image.Image) -> None:
    image = open_image(file_bytes(photo, "PNG")[:-300])
    for same in (image.reduce(2), image.copy(), open_image(image), pickle.loads(pickle.dumps(image))):
        assert image_notices([same]) == ["The file ends early: 250 of 252 rows are there."]
    assert len(image_notices([image, image])) == 1


def test_a_file_cannot_write_a_notice(photo: Image.Image) -> None:
    content = with_chunk(file_bytes(photo, "PNG"), png_chunk(b"tEXt", b"notices\0pay here"))
    with Image.open(io.BytesIO(content)) as lazy:
        assert lazy.info["notices"] == "pay here"
        assert image_notices([open_image(content), open_image(lazy)]) == []


@pytest.mark.parametrize("lost", [1, 2])
def test_without_the_end_marker_nothing_is_missing(lost: int, photo: Image.Image) -> None:
    for options in ({}, {"progressive": True}):
        whole = file_bytes(photo, "JPEG", **options)
        image = open_image(whole[:-lost])
        assert not image_notices([image])
        np.testing.assert_array_equal(pixels(image), pixels(open_image(whole)))


@pytest.mark.parametrize("share", [0.8, 0.9, 0.999])
def test_a_progressive_jpeg_loses_detail_not_rows(share: float, photo: Image.Image) -> None:
    whole = file_bytes(photo, "JPEG", quality=97, progressive=True)
    image = open_image(whole[: int(share * len(whole))])
    assert image_notices([image]) == ["The file ends early: 252 of 252 rows are there, but not in full detail."]
    assert np.abs(pixels(image) - pixels(open_image(whole))).mean() < 5


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_a_progressive_jpeg_without_its_resolution_is_refused(share: float, photo: Image.Image) -> None:
    whole = file_bytes(photo, "JPEG", quality=97, progressive=True)
    with pytest.raises(ImageError, match=r"too little of it is there|starts as an image"):
        open_image(whole[: int(share * len(whole))])


def test_metadata_in_the_way_and_an_early_end_at_once(photo: Image.Image) -> None:
    png = with_chunk(file_bytes(photo, "PNG"), png_chunk(b"iCCP", b"p\0\0nonsense"))[:-300]
    assert rows_of(open_image(png)) == 250
    jpeg = with_segment(file_bytes(photo, "JPEG", quality=97), jpeg_segment(0xEE, b"Adobe\0"))[:-15]
    assert rows_of(open_image(jpeg)) == 240


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_what_is_there_is_upright(kind: str, photo: Image.Image) -> None:
    turned = stored(photo, 6)
    options = {"tiffinfo": {274: 6}} if kind == "TIFF" else {"exif": exif_block(6)}
    image = open_image(file_bytes(turned, kind, **options)[:-1000])
    assert image.size == SIZE
    assert "of 336 rows" in image_notices([image])[0]
    seen = np.abs(pixels(image) - pixels(photo))[:, 120:]  # the right side is what the camera's first rows show
    assert seen[:, 60:].mean() < 5


def test_an_image_that_the_caller_opened(photo: Image.Image) -> None:
    with Image.open(io.BytesIO(file_bytes(photo, "JPEG", quality=97)[:-15])) as lazy:
        assert rows_of(open_image(lazy)) == 240


def test_later_images_of_a_file_may_be_missing(photo: Image.Image) -> None:
    several = {"save_all": True, "append_images": [photo.rotate(180)]}
    for kind, lost in (("MPO", 3000), ("GIF", 9000)):
        content = file_bytes(photo, kind, **several)
        image = open_image(content[:-lost])
        assert not image_notices([image])
        np.testing.assert_array_equal(pixels(image), pixels(open_image(content)))


def test_a_recovered_file_that_ends_in_zeros(photo: Image.Image) -> None:
    whole = file_bytes(photo, "JPEG", quality=97)
    assert rows_of(open_image(whole[:-1500] + bytes(60))) <= 240


def test_a_few_bytes_that_claim_a_large_image_are_not_decoded_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr("crop_core.io.early_end._equal_rows", lambda *images: compared.append(images))
    with pytest.raises(ImageError, match="damaged"):
        open_image(b"P6 7999 8000 255\n" + bytes(99))
    assert not compared
