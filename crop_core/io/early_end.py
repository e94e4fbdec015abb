"""Images whose file ends early: what is there of their pixels.

Whether a row is there is found by decoding twice, with two different things in the place of what is missing: where both
agree, the file has spoken. Knows nothing of names and messages.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from crop_core.io.metadata import JPEG, MAX_PARTS, SCAN, jpeg_segments

Open = Callable[[BinaryIO], Image.Image]

_END = b"\xff\xd9"  # of a JPEG
_FILLERS = (b"\x00", b"\x55", b"\xaa", b"\xff")
_GREY = 127  # of 255, in the place of what is missing
_ENOUGH = 4096  # bytes that a decoder may read ahead
_LATER_SCANS = re.compile(rb"\xff\xda\0.([\1-\4])", re.DOTALL)
_STRIPS, _TILES = (273, 279), (324, 325)  # tags of TIFF: places and lengths
_COEFFICIENTS = set(range(64))  # of a block


@dataclass(frozen=True)
class Partial:
    """Decoded pixels, not upright. rows: how many of its height are there. coarse: all, but not in full detail."""

    image: Image.Image
    rows: int
    coarse: bool = False


def rescued(content: bytes, opened: Open) -> Partial | None:
    """What is there of a file that ends early; None for a file that does not, or whose pixels cannot be told apart.

    opened: opens a file without decoding it; its errors pass through.
    """
    if content.startswith(JPEG):
        return _jpeg(content, opened)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _continued(_webp_versions(content), opened)
    return _prefilled(content, opened)


# -- JPEG and WebP: the data are continued ---------------------------------------------------------------------------


def _continued(versions: Iterator[bytes], opened: Open) -> Partial | None:
    """The first version that can be decoded, and its rows above the first that another one has different."""
    images: list[Image.Image] = []
    for version in versions:
        try:
            with opened(io.BytesIO(version)) as image:
                image.load()
        except Exception:  # the filler is no valid data: the next one may be
            continue
        images.append(image)
        if len(images) == 2:
            return Partial(images[0], _common_rows(*images))
    return None


def _common_rows(one: Image.Image, other: Image.Image) -> int:
    different = ~_equal_rows(one, other)
    return int(different.argmax()) if different.any() else len(different)


def _equal_rows(one: Image.Image, other: Image.Image) -> np.ndarray:
    """(H,) whether a row is the same in both."""
    return _rows(np.equal(np.asarray(one), np.asarray(other)))


def _rows(samples: np.ndarray) -> np.ndarray:
    """(H,) whether all samples of a row are True; samples: (H, W) or (H, W, C)."""
    return np.all(samples.reshape(len(samples), -1), axis=1)


def _jpeg(content: bytes, opened: Open) -> Partial | None:
    *_, (marker, scan, _) = [(0, 0, 0), *jpeg_segments(content)]
    if marker != SCAN or _END in content[scan:]:
        return None
    data = content.rstrip(b"\xff\0")  # half a marker, or what a recovered disk is filled with
    partial = _continued((data + more + _END for more in (b"", *map(_entropy, _FILLERS[1:3]))), opened)
    if partial is None or _in_one_scan(content, scan, partial.image):
        return partial
    height = partial.image.height
    coarse = partial.rows < height  # the last scan is cut off
    scans = _scans(content, scan)
    return Partial(partial.image, height if _shows_everything(scans[:-1] if coarse else scans) else 0, coarse)


def _entropy(filler: bytes) -> bytes:
    """Data of any interval of a scan: with each of the markers by which a decoder finds its way back."""
    return b"".join(filler * 64 + bytes([0xFF, 0xD0 + number % 8]) for number in range(16))


def _scans(content: bytes, first: int) -> list[tuple[bytes, int, int]]:
    """(components, first, last coefficient) of every scan."""
    starts = [(found.start() + 5, found[1][0]) for found in _LATER_SCANS.finditer(content, first)]
    return [
        (content[place : place + 2 * count : 2], *content[place + 2 * count : place + 2 * count + 2])
        for place, count in starts
        if place + 2 * count + 2 <= len(content)
    ]


def _in_one_scan(content: bytes, first: int, image: Any) -> bool:
    """Whether the first scan holds everything, row by row; otherwise the image is refined scan by scan."""
    components, low, high = _scans(content, first)[0]
    return len(components) == image.layers and (low, high) == (0, 63)


def _shows_everything(scans: list[tuple[bytes, int, int]]) -> bool:
    """Whether these whole scans hold the brightness, which comes first, in full resolution, and each colour."""
    seen: dict[int, set[int]] = {}
    for components, low, high in scans:
        for component in components:
            seen.setdefault(component, set()).update(range(low, high + 1))
    return bool(scans) and seen[scans[0][0][0]] == _COEFFICIENTS and all(0 in each for each in seen.values())


def _webp_versions(content: bytes) -> Iterator[bytes]:
    """The file continued by fillers, with the sizes of its last chunk and of the whole corrected."""
    start = end = 12
    parts = 0
    while end < len(content) and parts < MAX_PARTS:
        start, size = end, int.from_bytes(content[end + 4 : end + 8], "little")
        end, parts = end + 8 + size + size % 2, parts + 1
    if not len(content) < end <= 2 * len(content):  # whole, or more is missing than there is
        return
    for filler in _FILLERS:
        longer = bytearray(content + filler * (end - len(content) + _ENOUGH))
        longer[start + 4 : start + 8] = (len(longer) - start - 8).to_bytes(4, "little")
        longer[4:8] = (len(longer) - 8).to_bytes(4, "little")
        yield bytes(longer)


# -- other formats: the pixels are filled beforehand -----------------------------------------------------------------


def _prefilled(content: bytes, opened: Open) -> Partial | None:
    grey = _over(opened(io.BytesIO(content)), _GREY, len(content))
    if grey is None:
        return None
    untouched = _rows(np.asarray(grey) == _GREY)
    if 2 * untouched.sum() > len(untouched):  # too little in any case: a large image is not decoded twice
        return Partial(grey, int((~untouched).sum()))
    black = _over(opened(io.BytesIO(content)), 0, len(content))
    return None if black is None else Partial(grey, int(_equal_rows(grey, black).sum()))


def _over(image: Any, value: int, length: int) -> Image.Image | None:
    """The image decoded over samples of `value` as far as its `length` bytes go; None unless it ends early."""
    if image.format == "TIFF" and _needed(image.tag_v2) <= length:
        return None  # of other pixels than it says
    if image.tile and image.tile[0][0] == "raw" and 2 * 8 * length < image.width * image.height:
        return None  # a few bytes that claim millions of pixels: with a bit for each, less than half is there
    prepare = image.load_prepare

    def fill() -> None:
        prepare()
        bands = Image.getmodebands(image.im.mode)
        image.im.paste(value if bands == 1 else (value,) * bands, (0, 0, *image.im.size))

    image.load_prepare = fill
    try:
        image.load()
    except OSError as error:
        if "truncated" not in str(error):
            return None
        image.tile, image._size = [], image.im.size  # as loaded; a TIFF has the size of the upright image before
        return image
    return None


def _needed(tags: Any) -> int:
    """Bytes that a TIFF with these tags has at least: up to the end of its last strip or tile."""
    kind = _STRIPS if _STRIPS[0] in tags else _TILES
    places, lengths = (np.atleast_1d(tags.get(tag, 0)) for tag in kind)
    return int((places + lengths).max())
