"""Metadata of any size and in any state does not hide the image."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crop_core.io.images import ImageError, image_size, open_image
from tests.support.image_files import exif_block, file_bytes, jpeg_segment, png_chunk, with_chunk, with_segment

PROMPTS = zlib.compress(b"prompt " * 300_000)  # 2 MB, as image generators embed their workflow
CHUNKS = {
    "compressed text": png_chunk(b"zTXt", b"workflow\0\0" + PROMPTS),
    "compressed international text": png_chunk(b"iTXt", b"workflow\0\1\0\0\0" + PROMPTS),
    "text": png_chunk(b"tEXt", b"workflow\0" + bytes(range(1, 256)) * 20_000),
    "many texts": b"".join(png_chunk(b"zTXt", b"w%d\0\0" % n + zlib.compress(b"y" * 900_000)) for n in range(90)),
    "text that cannot be unpacked": png_chunk(b"zTXt", b"workflow\0\0nonsense"),
    "text of another checksum": png_chunk(b"tEXt", b"a\0b")[:-4] + bytes(4),
    "profile": png_chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(3_000_000))),
    "profile that cannot be unpacked": png_chunk(b"iCCP", b"p\0\0nonsense"),
    "XMP": png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"<x/>" * 500_000),
    "EXIF": png_chunk(b"eXIf", exif_block(1)[6:] + bytes(3_000_000)),
    "private": png_chunk(b"prVt", bytes(4_000_000)),
    "broken gamma": png_chunk(b"gAMA", b"\0"),
    "broken resolution": png_chunk(b"pHYs", b"\0"),
    "broken animation": png_chunk(b"acTL", b"\0"),
}
ENTRIES = struct.pack("<HHIIHHII", 0xB001, 4, 1, 3, 0xB002, 7, 16, 50)
SEGMENTS = {
    "index of several images": jpeg_segment(0xE2, b"MPF\0II*\0\x08\0\0\0\2\0" + ENTRIES + bytes(64)),
    "profile": jpeg_segment(0xE2, b"ICC_PROFILE\0\x05\x01junk"),
    "large profile": b"".join(
        jpeg_segment(0xE2, b"ICC_PROFILE\0" + bytes([n + 1, 60]) + bytes(65_000)) for n in range(60)
    ),
    "Photoshop": jpeg_segment(0xED, b"Photoshop 3.0\x008BIM\x04\x0f" + b"\xff" * 40),
    "Adobe": jpeg_segment(0xEE, b"Adobe\0"),
    "XMP": jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"\xff\xfe" * 300),
    "EXIF": jpeg_segment(0xE1, b"Exif\0\0" + b"\xff" * 300),
    "comment": jpeg_segment(0xFE, b"\xff" * 60_000),
}


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return Image.effect_noise((40, 30), 80).convert("RGB")


@pytest.mark.parametrize("place", [b"IDAT", b"IEND"])
@pytest.mark.parametrize("kind", CHUNKS)
def test_a_png_opens_whatever_its_other_chunks_hold(
    kind: str, place: bytes, photo: Image.Image, tmp_path: Path
) -> None:
    path = tmp_path / "generated.png"
    path.write_bytes(with_chunk(file_bytes(photo, "PNG"), CHUNKS[kind], place))
    np.testing.assert_array_equal(np.asarray(open_image(path)), np.asarray(photo))
    assert image_size(path) == photo.size


@pytest.mark.parametrize("kind", SEGMENTS)
def test_a_jpeg_too(kind: str, photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    plain = file_bytes(photo, "JPEG", quality=95)
    path.write_bytes(with_segment(plain, SEGMENTS[kind]))
    np.testing.assert_array_equal(np.asarray(open_image(path)), np.asarray(open_image(plain)))
    assert image_size(path) == photo.size


def test_a_png_keeps_its_palette_and_its_transparency() -> None:
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([0, 0, 255, 255, 0, 0])
    palette.putpixel((1, 0), 1)
    content = with_chunk(file_bytes(palette, "PNG", transparency=0), CHUNKS["compressed text"], b"PLTE")
    assert [open_image(content).getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (255, 0, 0)]


def test_without_pixels_there_is_no_image() -> None:
    plain = file_bytes(Image.new("RGB", (4, 4)), "PNG")
    with pytest.raises(ImageError, match="damaged or incomplete"):
        open_image(with_chunk(plain[: plain.index(b"IDAT") - 4] + b"\0\0\0\0IEND", CHUNKS["text"], b"IEND"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_no_metadata_goes_on_to_preview_and_exports(kind: str, photo: Image.Image) -> None:
    """A browser would show a PNG with a profile in other colours than the model sees."""
    content = file_bytes(photo, kind, icc_profile=b"profile" * 30, exif=exif_block(1))
    assert open_image(content).info == {}
