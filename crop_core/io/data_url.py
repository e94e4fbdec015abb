"""Images inside JSON and HTML: an image as a data URL, and back. Knows nothing of records."""

from __future__ import annotations

import base64
import binascii
import io
from typing import TYPE_CHECKING

from crop_core.io.images import ImageError, open_image

if TYPE_CHECKING:
    from PIL import Image

MAX_SIDE_PX = 1024  # the longest side that is embedded
SMALL = 200_000  # bytes up to which nothing is lost of an image
STARTS = ("data:image/png;base64,", "data:image/jpeg;base64,")


def encode_image(image: Image.Image, small: int = SMALL) -> tuple[str, bytes]:
    """("png" or "jpeg", the file's bytes) of an RGB image: PNG when that takes fewer than `small` bytes."""
    for kind, options in (("png", {}), ("jpeg", {"quality": 88})):
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        if buffer.tell() < small:
            break
    return kind, buffer.getvalue()


def data_url(image: Image.Image, side: int = MAX_SIDE_PX, small: int = SMALL) -> str:
    """`image` (RGB) as a data URL, scaled down to `side`: PNG when that takes fewer than `small` bytes, else JPEG."""
    smaller = image.copy()
    smaller.thumbnail((side, side))
    kind, content = encode_image(smaller, small)
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def image_from_data_url(url: str) -> Image.Image:
    """Inverse of `data_url`, for what anybody wrote; ImageError for what is no image."""
    start = next((start for start in STARTS if url.startswith(start)), None)
    if start is None:
        raise ImageError("The embedded image is none: it has to be a data URL of a PNG or JPEG file.")
    try:
        content = base64.b64decode(url[len(start) :], validate=True)
    except (binascii.Error, ValueError):
        raise ImageError("The embedded image is broken: its base64 cannot be read.") from None
    return open_image(content)
