"""Formats and what is peculiar to them: HEIC, animations, pages, names that lie, headers that claim too much."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from pillow_heif import register_heif_opener

from crop_core.io.images import ImageError, image_size, open_image
from tests.support import ROOT
from tests.support.image_files import ORIENTATION, exif_block, faithful, file_bytes, png_chunk, stored

register_heif_opener()
SIZE = (48, 32)
BLANK_HEIC = struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + bytes(4000)


@pytest.fixture(scope="module")
def blocks() -> Image.Image:
    """48 x 32 pixels of six colours."""
    colours = np.random.default_rng(2).integers(0, 256, (2, 3, 3), dtype=np.uint8)
    return Image.fromarray(np.kron(colours, np.ones((16, 16, 1), np.uint8)))


@pytest.fixture(scope="module")
def inverted(blocks: Image.Image) -> Image.Image:
    return Image.eval(blocks, lambda value: 255 - value)


def assert_shows(content: bytes, wanted: Image.Image, folder: Path, name: str = "image", tolerance: int = 12) -> None:
    path = folder / name
    path.write_bytes(content)
    image = open_image(path)
    assert image.size == image_size(path) == wanted.size
    difference = np.abs(np.asarray(image, dtype=int) - np.asarray(wanted.convert("RGB"), dtype=int))
    assert difference.max() <= tolerance


# -- HEIC ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["phone.heic", "phone.HEIF", "phone.jpg", "phone"])
def test_heic_whatever_its_name(name: str, blocks: Image.Image, tmp_path: Path) -> None:
    assert_shows(faithful(blocks, "HEIF"), blocks, tmp_path, name)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_heic_of_every_mode(mode: str, blocks: Image.Image, tmp_path: Path) -> None:
    grey = blocks.convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    image = deep if mode == "I;16" else blocks.convert(mode)
    wanted = grey if mode in ("L", "LA", "I;16") else blocks
    assert_shows(faithful(image, "HEIF"), wanted, tmp_path)


def test_of_a_burst_in_heic_the_primary_image_is_taken(
    blocks: Image.Image, inverted: Image.Image, tmp_path: Path
) -> None:
    content = faithful(inverted, "HEIF", save_all=True, append_images=[blocks], primary_index=1)
    assert_shows(content, blocks, tmp_path)


@pytest.mark.parametrize("content", [BLANK_HEIC, None])
def test_a_broken_heic_is_called_damaged(content: bytes | None, blocks: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "phone.heic"
    path.write_bytes(content or file_bytes(blocks, "HEIF")[:-40])
    with pytest.raises(ImageError, match=r"^'phone.heic' is damaged or incomplete"):
        open_image(path)


@pytest.mark.parametrize("name", ["phone.heic", "phone.jpg"])
def test_without_the_package_the_message_says_what_to_do(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.delitem(Image.OPEN, "HEIF")
    path = tmp_path / name
    path.write_bytes(BLANK_HEIC)
    for read in (open_image, image_size):
        with pytest.raises(ImageError) as caught:
            read(path)
        assert str(caught.value) == (
            f"'{name}' is a HEIC image, and the package that reads them is missing: run pip install pillow-heif, or "
            "save the image as JPEG or PNG."
        )


def test_other_images_need_no_such_package(
    blocks: Image.Image, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.delitem(Image.OPEN, "HEIF")
    for kind in ("PNG", "AVIF", "WEBP"):
        assert_shows(faithful(blocks, kind), blocks, tmp_path)


def test_its_package_is_imported_with_the_first_such_file(blocks: Image.Image, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(faithful(blocks, "PNG"))
    (tmp_path / "a.heic").write_bytes(faithful(blocks, "HEIF"))
    script = (
        "import sys; from crop_core.io.images import open_image; open_image(sys.argv[1]); "
        "print('pillow_heif' in sys.modules); open_image(sys.argv[2]); print('pillow_heif' in sys.modules)"
    )
    command = [sys.executable, "-c", script, tmp_path / "a.png", tmp_path / "a.heic"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


# -- several images in a file ----------------------------------------------------------------------------------------

SEVERAL = {
    "GIF": ("GIF", {}),
    "WebP": ("WEBP", {}),
    "APNG": ("PNG", {}),
    "APNG with another image for old programs": ("PNG", {"default_image": True}),
    "AVIF": ("AVIF", {}),
    "MPO": ("MPO", {}),
    "TIFF": ("TIFF", {}),
    "TIFF, compressed": ("TIFF", {"compression": "tiff_lzw"}),
}


@pytest.mark.parametrize("kind", SEVERAL)
def test_the_first_of_several_images(kind: str, blocks: Image.Image, inverted: Image.Image, tmp_path: Path) -> None:
    name, options = SEVERAL[kind]
    content = faithful(blocks, name, save_all=True, append_images=[inverted.copy()], **options)
    assert_shows(content, blocks, tmp_path)


def test_pages_of_different_sizes(blocks: Image.Image, inverted: Image.Image, tmp_path: Path) -> None:
    content = file_bytes(blocks, "TIFF", save_all=True, append_images=[inverted.resize((200, 100))])
    assert_shows(content, blocks, tmp_path)


# -- names, colours, depths ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.txt", "a", "Ünï çödé 图.jpeg"])
def test_the_content_counts_not_the_name(kind: str, name: str, blocks: Image.Image, tmp_path: Path) -> None:
    assert_shows(faithful(blocks, kind), blocks, tmp_path, name)


def png_16(values: np.ndarray, colour: int) -> bytes:
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


@pytest.mark.parametrize(
    ("colour", "grey", "alpha"), [(0, True, False), (2, False, False), (4, True, True), (6, False, True)]
)
def test_png_of_16_bits(colour: int, grey: bool, alpha: bool, blocks: Image.Image, tmp_path: Path) -> None:
    wanted = blocks.convert("L") if grey else blocks
    values = np.atleast_3d(np.asarray(wanted, dtype=int)) * 257
    opaque = np.full((*values.shape[:2], 1), 65535)
    content = png_16(np.concatenate([values, opaque], 2) if alpha else values, colour)
    assert_shows(content, wanted, tmp_path, tolerance=0)


def test_cmyk_of_adobe_is_stored_inverted(blocks: Image.Image, tmp_path: Path) -> None:
    content = faithful(blocks.convert("CMYK"), "JPEG")
    assert b"Adobe" in content[:200]
    assert_shows(content, blocks, tmp_path)
    assert_shows(file_bytes(blocks.convert("CMYK"), "TIFF"), blocks, tmp_path)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF", "HEIF", "GIF"])
def test_clear_pixels_are_white_whatever_colour_they_hide(kind: str, blocks: Image.Image, tmp_path: Path) -> None:
    clear = blocks.copy()
    clear.putalpha(0)
    assert_shows(file_bytes(clear, kind), Image.new("RGB", SIZE, "white"), tmp_path, tolerance=1)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "HEIF"])
def test_a_colour_profile_changes_no_number(kind: str, blocks: Image.Image, tmp_path: Path) -> None:
    """As in the pipelines that the models were trained by."""
    wide = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    plain = open_image(faithful(blocks, kind))
    assert_shows(faithful(blocks, kind, icc_profile=wide), plain, tmp_path, tolerance=0)


# -- what is refused -------------------------------------------------------------------------------------------------

NO_IMAGES = {
    "a page of a server": b"<!DOCTYPE html><html><body>404</body></html>",
    "a pointer of git-lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 5\n",
    "a text": b"Python is a language\n",
    "a drawing": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "JPEG XL": b"\xff\x0a" + bytes(100),
    "Photoshop": b"8BPS\0\1" + bytes(100),
    "a video": struct.pack(">I", 24) + b"ftypisom\0\0\2\0isommp42" + bytes(400),
    "a byte": b"\xff",
}


@pytest.mark.parametrize("kind", NO_IMAGES)
def test_no_image(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "cat.jpg"
    path.write_bytes(NO_IMAGES[kind])
    for read in (open_image, image_size):
        with pytest.raises(ImageError, match=r"^'cat.jpg' is not an image that can be read here"):
            read(path)


STARTS = {
    "PNG": b"\x89PNG\r\n\x1a\n",
    "JPEG": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    "GIF": b"GIF89a",
    "WebP": b"RIFF\x40\0\0\0WEBPVP8 ",
    "TIFF": b"II*\0\x08\0\0\0",
    "AVIF": struct.pack(">I", 24) + b"ftypavif\0\0\0\0avifmif1",
    "HEIC": struct.pack(">I", 24) + b"ftypmif1\0\0\0\0heicmif1",
}


@pytest.mark.parametrize("kind", STARTS)
def test_the_start_of_an_image_is_called_damaged(kind: str) -> None:
    with pytest.raises(ImageError, match=r"^The image is damaged or incomplete"):
        open_image(STARTS[kind])


def test_a_heic_that_claims_too_much_is_refused_by_its_header(
    blocks: Image.Image, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("pillow_heif.as_plugin._LibHeifImageFile.load", lambda self: pytest.fail("decoded"))
    content, place = file_bytes(blocks, "HEIF"), 0
    while (place := content.find(b"ispe", place) + 4) > 3:
        content = content[: place + 4] + struct.pack(">II", 12000, 12000) + content[place + 12 :]
    content = content.replace(b"clap", b"free")  # crops what the encoder has padded
    path = tmp_path / "huge.heic"
    path.write_bytes(content)
    for read in (open_image, image_size):
        with pytest.raises(ImageError, match="too large"):
            read(path)


# -- any of it -------------------------------------------------------------------------------------------------------

PLACES: dict[str, tuple[str, ...]] = {  # formats with an orientation, and the modes that they store without loss
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "TIFF": ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "LAB", "I;16", "I", "F"),
    "WEBP": ("RGB", "RGBA"),
}


DEEP = {"I;16": np.uint16, "I": np.int32, "F": np.float32}


@st.composite
def images(draw: st.DrawFn) -> tuple[str, Image.Image]:
    """A format, and a small image in one of its modes."""
    kind = draw(st.sampled_from(sorted(PLACES)))
    mode = draw(st.sampled_from(PLACES[kind]))
    width, height = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    if mode in DEEP:
        return kind, Image.fromarray(rng.integers(0, 999, (height, width)).astype(DEEP[mode]))
    bands = {"LA": 2, "PA": 2, "RGB": 3, "LAB": 3, "RGBA": 4, "CMYK": 4}.get(mode, 1)
    values = rng.integers(0, 256, (height, width, bands), dtype=np.uint8)
    if mode in ("1", "P"):
        return kind, Image.fromarray(values[:, :, 0]).convert(mode)
    return kind, Image.frombytes(mode, (width, height), values.tobytes())


@settings(deadline=None, max_examples=400)
@given(what=images(), orientation=st.integers(1, 8))
def test_any_mode_and_orientation_gives_the_same_upright_pixels(
    what: tuple[str, Image.Image], orientation: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kind, upright = what
    turned = stored(upright, orientation)
    place = {"tiffinfo": {ORIENTATION: orientation}} if kind == "TIFF" else {"exif": exif_block(orientation)}
    content = faithful(turned, kind, **place)
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    wanted = np.asarray(open_image(upright))
    for source in (content, path, Image.open(io.BytesIO(content))):
        np.testing.assert_array_equal(np.asarray(open_image(source)), wanted)
    assert image_size(path) == upright.size
