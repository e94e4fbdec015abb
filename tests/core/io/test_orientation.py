"""An image is upright, and equally large for everybody, whatever else is broken in its metadata."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from crop_core.io.images import image_size, open_image
from tests.support.image_files import (
    DAMAGE,
    LONG,
    ORIENTATION,
    SHORT,
    exif_block,
    faithful,
    png_chunk,
    stored,
    with_chunk,
    with_tags,
    xmp_packet,
)

register_heif_opener()  # to write such files
LOSSY = 12  # of 255; the blocks of the image are those of JPEG
TURNED = range(1, 9)


@pytest.fixture(scope="module")
def upright() -> Image.Image:
    """48 x 32 pixels, six blocks of random colours."""
    blocks = np.random.default_rng(1).integers(0, 256, (2, 3, 3), dtype=np.uint8)
    return Image.fromarray(np.kron(blocks, np.ones((16, 16, 1), np.uint8)))


def assert_upright(content: bytes, upright: Image.Image, tolerance: int, folder: Path) -> None:
    """The same upright pixels from a path, from bytes and from an image opened by the caller; the size as they have."""
    path = folder / "photo"
    path.write_bytes(content)
    sources = [path, content]
    with suppress(Image.UnidentifiedImageError):  # where Pillow alone cannot get over the metadata
        sources.append(Image.open(io.BytesIO(content)))
    for source in sources:
        image = open_image(source)
        assert image.size == upright.size
        assert np.abs(np.asarray(image, dtype=int) - np.asarray(upright, dtype=int)).max() <= tolerance
    assert image_size(path) == upright.size


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.filterwarnings("ignore")  # of Pillow, which the caller's own Image.open shows
def test_upright_whatever_else_is_broken(orientation: int, damage: str, upright: Image.Image, tmp_path: Path) -> None:
    pixels = stored(upright, orientation)
    for order, kind in (("<", SHORT), (">", SHORT), ("<", LONG), (">", LONG)):
        exif = exif_block(orientation, damage, order, kind)
        assert_upright(faithful(pixels, "JPEG", exif=exif), upright, LOSSY, tmp_path)
        assert_upright(faithful(pixels, "WEBP", exif=exif), upright, 0, tmp_path)
        for before in (b"IDAT", b"IEND"):
            png = with_chunk(faithful(pixels, "PNG"), png_chunk(b"eXIf", exif[6:]), before)
            assert_upright(png, upright, 0, tmp_path)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.filterwarnings("ignore")
def test_a_tiff_too(orientation: int, damage: str, compression: str, upright: Image.Image, tmp_path: Path) -> None:
    before, after, _ = DAMAGE[damage]
    tiff = faithful(stored(upright, orientation), "TIFF", compression=compression)
    assert_upright(with_tags(tiff, [*before, (ORIENTATION, SHORT, 1, orientation), *after]), upright, 0, tmp_path)


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.filterwarnings("ignore")
def test_what_avif_and_heic_say_by_irot_and_imir(
    orientation: int, damage: str, kind: str, upright: Image.Image, tmp_path: Path
) -> None:
    """Their writers translate EXIF's orientation into the container's own, which is what counts."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[271] = orientation, "maker" * 60
    content = faithful(stored(upright, orientation), kind, exif=exif.tobytes())
    if damage != "none":
        place = content.index(b"makermaker") - 60
        place = max(content.rfind(start, 0, place + 60) for start in (b"II*\0", b"MM\0*"))
        content = content[:place] + (broken := exif_block(orientation, damage)[6:]) + content[place + len(broken) :]
    assert_upright(content, upright, LOSSY, tmp_path)


def test_a_dim_photo_says_that_its_brightness_is_unknown(upright: Image.Image, tmp_path: Path) -> None:
    """A rational of -1/0 in the EXIF list, as phones write it."""
    main = struct.pack("<H", 2) + struct.pack("<HHIHH", 274, 3, 1, 6, 0) + struct.pack("<HHII", 34665, 4, 1, 38)
    sub = struct.pack("<H", 1) + struct.pack("<HHII", 37379, 10, 1, 56) + bytes(4)
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + main + bytes(4) + sub + struct.pack("<ii", -1, 0)
    photo = faithful(stored(upright, 6), "JPEG", exif=exif)
    assert_upright(photo, upright, LOSSY, tmp_path)


@pytest.mark.parametrize("orientation", TURNED)
def test_xmp_alone(orientation: int, upright: Image.Image, tmp_path: Path) -> None:
    pixels, xmp = stored(upright, orientation), xmp_packet(orientation)
    assert_upright(faithful(pixels, "JPEG", xmp=xmp), upright, LOSSY, tmp_path)
    assert_upright(faithful(pixels, "WEBP", xmp=xmp), upright, 0, tmp_path)
    assert_upright(faithful(pixels, "TIFF", tiffinfo={700: xmp}), upright, 0, tmp_path)
    png, name = faithful(pixels, "PNG"), b"XML:com.adobe.xmp\0"
    for body in (b"\0\0\0\0" + xmp, b"\1\0\0\0" + zlib.compress(xmp)):
        for before in (b"IDAT", b"IEND"):
            assert_upright(with_chunk(png, png_chunk(b"iTXt", name + body), before), upright, 0, tmp_path)


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt"])
@pytest.mark.parametrize("orientation", TURNED)
def test_exif_in_a_text_chunk_as_imagemagick_writes_it(
    kind: bytes, orientation: int, upright: Image.Image, tmp_path: Path
) -> None:
    exif = exif_block(orientation)
    text = b"\nexif\n%8d\n" % len(exif) + b"\n".join(
        exif.hex().encode()[start : start + 72] for start in range(0, 2 * len(exif), 72)
    )
    body = b"Raw profile type exif\0" + (text if kind == b"tEXt" else b"\0" + zlib.compress(text))
    content = with_chunk(faithful(stored(upright, orientation), "PNG"), png_chunk(kind, body))
    assert_upright(content, upright, 0, tmp_path)


def test_one_text_chunk_is_unpacked_however_many_there_are(
    upright: Image.Image, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chunk = png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(2**16)))
    unpacked = []
    monkeypatch.setattr("crop_core.io.orientation._text", lambda *text: unpacked.append(text) or b"")
    path = tmp_path / "many.png"
    path.write_bytes(with_chunk(faithful(upright, "PNG"), 50 * chunk))
    assert image_size(path) == upright.size
    assert len(unpacked) == 1


def test_exif_counts_before_xmp(upright: Image.Image, tmp_path: Path) -> None:
    content = faithful(stored(upright, 6), "WEBP", exif=exif_block(6), xmp=xmp_packet(3))
    assert_upright(content, upright, 0, tmp_path)


@pytest.mark.parametrize("orientation", [0, 9, 255, 65535])
def test_an_orientation_that_is_none_turns_nothing(orientation: int, upright: Image.Image, tmp_path: Path) -> None:
    exif = exif_block(orientation)
    assert_upright(faithful(upright, "JPEG", exif=exif), upright, LOSSY, tmp_path)
    assert_upright(faithful(upright, "PNG", exif=exif), upright, 0, tmp_path)
    tiff = with_tags(faithful(upright, "TIFF"), [(ORIENTATION, SHORT, 1, orientation)])
    assert_upright(tiff, upright, 0, tmp_path)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0II", b"junk" * 9, b"Exif\0\0MM\0*\xff\xff\xff\xff", b"II*\0" + bytes(4)]
)
def test_a_block_that_is_none(exif: bytes, upright: Image.Image, tmp_path: Path) -> None:
    assert_upright(faithful(upright, "WEBP", exif=exif), upright, 0, tmp_path)


def test_an_image_that_the_caller_has_turned_is_not_turned_again(upright: Image.Image) -> None:
    from PIL import ImageOps

    photo = Image.open(io.BytesIO(faithful(stored(upright, 6), "PNG", exif=exif_block(6))))
    turned = ImageOps.exif_transpose(photo)
    np.testing.assert_array_equal(np.asarray(open_image(turned)), np.asarray(upright))
    np.testing.assert_array_equal(np.asarray(open_image(open_image(photo))), np.asarray(upright))


def test_an_orientation_that_the_caller_has_set(upright: Image.Image) -> None:
    image = stored(upright, 8)
    image.getexif()[ORIENTATION] = 8
    np.testing.assert_array_equal(np.asarray(open_image(image)), np.asarray(upright))
