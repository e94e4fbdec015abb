"""Decode an image file: whatever its name says, upright, without stumbling over metadata, and as far as it goes.

Knows nothing of messages. HEIC is read by pillow-heif, which is imported with the first such file.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

from PIL import Image, UnidentifiedImageError

from crop_core.io import orientation
from crop_core.io.early_end import Partial, rescued
from crop_core.io.metadata import is_raw_photo, without_metadata

T = TypeVar("T")
CheckSize = Callable[[int, int], None]

# Raster formats decoded by Pillow itself. EPS, PDF and the like start other programs and are excluded on purpose.
FORMATS = ("PNG", "JPEG", "MPO", "GIF", "WEBP", "AVIF", "HEIF", "BMP", "DIB", "TIFF", "PPM", "ICO", "JPEG2000")

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_LOOSE = ("PPM", "DIB")  # formats whose first bytes a text may have
_HEAD = 64  # bytes that tell a format


class ImageError(ValueError):
    """An unusable image; the message is one sentence for the user."""


class NoDecoderError(OSError):
    """A HEIC image, and no package that reads it."""


class RawPhotoError(OSError):
    """A camera's raw file, whose first image is a small preview."""


FINAL = (ImageError, NoDecoderError, RawPhotoError, Image.DecompressionBombError, Image.DecompressionBombWarning)


def refused_pixels(bomb: Warning | Exception) -> int:
    """Pixels of the image that Pillow refused as too large, by its message."""
    return int(str(bomb).partition("(")[2].partition(" ")[0])


@dataclass(frozen=True)
class Decoded:
    """An image, decoded and upright. partial: what is there of a file that ends early."""

    image: Image.Image
    partial: Partial | None = None


def decode(file: BinaryIO, check: CheckSize) -> Decoded:
    """Decode a file. check: called with (width, height) before a pixel is decoded.

    Raises what `check` raises, NoDecoderError, RawPhotoError, UnidentifiedImageError for what is no image, anything for
    a broken one.
    """
    try:
        return Decoded(_without_metadata_too(file, lambda each: _whole(each, file, check)))
    except FINAL:
        raise
    except Exception:
        bare = without_metadata(file) or file
        partial = rescued(_content(bare), _open)
        if partial is None:
            raise
        turn = orientation.of_file(partial.image, file)
        return Decoded(orientation.turned(partial.image, turn), partial)


def upright_size(file: BinaryIO, check: CheckSize) -> tuple[int, int]:
    """(width, height) that `decode` gives, from the header where that can be read. Raises as `decode`."""
    try:
        size = _without_metadata_too(file, lambda each: _size(each, file))
    except FINAL:
        raise
    except Exception:
        return decode(file, check).image.size
    check(*size)
    return size


def _without_metadata_too(file: BinaryIO, work: Callable[[BinaryIO], T]) -> T:
    """`work` on the file as it is or, where that fails, without its metadata."""
    try:
        return work(file)
    except FINAL:
        raise
    except Exception:
        bare = without_metadata(file)
        if bare is None:
            raise
        return work(bare)


def _whole(file: BinaryIO, original: BinaryIO, check: CheckSize) -> Image.Image:
    with _open(file) as image:
        turn = orientation.of_file(image, original)
        check(*orientation.turned_size(_stored_size(image), turn))
        image.load()
        return image if image.format == "TIFF" else orientation.turned(image, turn)  # Pillow turns a TIFF


def _size(file: BinaryIO, original: BinaryIO) -> tuple[int, int]:
    with _open(file) as image:
        return orientation.turned_size(_stored_size(image), orientation.of_file(image, original))


def _stored_size(image: Any) -> tuple[int, int]:
    return (image.tag_v2[256], image.tag_v2[257]) if image.format == "TIFF" else image.size


def _open(file: BinaryIO) -> Image.Image:
    """Open a file without decoding it; OSError for a file that begins as an image and is none, or for a raw one."""
    if is_raw_photo(file):
        raise RawPhotoError("raw")
    file.seek(0)
    head = file.read(_HEAD)
    file.seek(0)
    if _is_heif(head):
        _register_heif()
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]
    try:
        return Image.open(file, formats=formats)
    except UnidentifiedImageError as error:
        accept = (Image.OPEN[name][1] for name in formats if name not in _LOOSE)
        if any(each and each(head) is True for each in accept):
            raise OSError("broken behind its first bytes") from error
        raise


def _is_heif(head: bytes) -> bool:
    """Whether a file is HEIC or HEIF, and not AVIF, which begins alike."""
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS and not (b"avif" in head or b"avis" in head)


def _register_heif() -> None:
    if "HEIF" in Image.OPEN:
        return
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise NoDecoderError("pillow-heif is missing") from error
    register_heif_opener()


def _content(file: BinaryIO) -> bytes:
    if isinstance(file, io.BytesIO):
        return file.getvalue()
    file.seek(0)
    return file.read()
