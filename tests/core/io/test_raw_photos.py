"""Raw files of cameras, in TIFF, whose first image is a preview."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, TiffImagePlugin

from crop_core.io.images import ImageError, image_size, open_image


@pytest.fixture
def blocks() -> Image.Image:
    return Image.effect_noise((60, 40), 90).convert("RGB")


RAW_PHOTOS = {  # tags of the first list of a camera's file: a smaller version of another image, a DNG
    "NEF": {254: 1},
    "DNG": {50706: b"\1\4\0\0"},
    "ProRAW": {254: 1, 50706: b"\1\4\0\0"},
}


@pytest.mark.parametrize("kind", RAW_PHOTOS)
@pytest.mark.parametrize("order", [b"II", b"MM"])
def test_the_preview_in_a_raw_photo_is_not_taken_for_the_photo(
    kind: str, order: bytes, blocks: Image.Image, tmp_path: Path
) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2(order + (b"*\0\0\0\0\0" if order == b"II" else b"\0*\0\0\0\0"))
    tags.update(RAW_PHOTOS[kind])
    path = tmp_path / f"photo.{kind}"
    blocks.save(path, "TIFF", tiffinfo=tags)
    for read in (open_image, image_size):
        with pytest.raises(ImageError, match=r"is a camera's raw file .* export it as JPEG or PNG\.$"):
            read(path)


def test_a_raw_photo_of_canon_is_called_so() -> None:
    with pytest.raises(ImageError, match="is a camera's raw file"):
        open_image(b"II*\0\x10\0\0\0CR\2\0" + bytes(200))


def test_a_tiff_that_is_the_image_itself_is_read(blocks: Image.Image, tmp_path: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[254] = 2  # one page of several
    blocks.save(tmp_path / "page.tif", tiffinfo=tags)
    assert open_image(tmp_path / "page.tif").tobytes() == blocks.tobytes()
