"""Images as data URLs in JSON and HTML, and back. Knows nothing of records."""

from __future__ import annotations

import base64
import binascii
import io
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from crop_core.io.images import ImageError, open_image

if TYPE_CHECKING:
    from PIL import Image

MAX_SIDE_PX = 1024  # maximum side of an embedded image
MAX_PNG_BYTES = 200_000  # larger images become JPEG
PREFIXES = ("data:image/png;base64,", "data:image/jpeg;base64,")


def encode_image(image: Image.Image, max_png_bytes: int = MAX_PNG_BYTES) -> tuple[str, bytes]:
    """("png" or "jpeg", the file's bytes) of an RGB image: PNG when that takes fewer than `max_png_bytes` bytes."""
    for kind, options in (("png", {}), ("jpeg", {"quality": 88})):
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        if buffer.tell() < max_png_bytes:
            break
    return kind, buffer.getvalue()


def data_url(image: Image.Image, side: int = MAX_SIDE_PX, max_png_bytes: int = MAX_PNG_BYTES) -> str:
    """`image` (RGB) as a data URL, scaled down to `side`: PNG when that takes fewer than `max_png_bytes` bytes, else
    JPEG.
    """
    smaller = image.copy()
    smaller.thumbnail((side, side))
    kind, content = encode_image(smaller, max_png_bytes)
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def image_from_data_url(url: str) -> Image.Image:
    """Inverse of `data_url` for untrusted text; ImageError for anything but an image."""
    if not url.startswith(PREFIXES):
        raise ImageError("The embedded image is none: it has to be a data URL of a PNG or JPEG file.")
    return open_image(decode_base64(url))


def decode_base64(text: str) -> bytes:
    """Content of a data URL of any type, or of bare base64, for untrusted text; ImageError if it is neither.

    White space in the base64 is passed over, and a data URL may be percent-encoded instead.
    """
    header, _, content = text.partition(",") if text[:5].lower() == "data:" else (";base64", "", text)
    try:
        raw = unquote_to_bytes(content) if "%" in content else content.encode("ascii")
        is_base64 = header.lower().endswith(";base64")
        return base64.b64decode(b"".join(raw.split()), validate=True) if is_base64 else raw
    except (binascii.Error, ValueError):
        raise ImageError("The embedded image is broken: its base64 cannot be read.") from None
