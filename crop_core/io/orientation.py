"""How an image file is to be turned, from EXIF or XMP. Only the one tag is read, whatever else is broken beside it.

Knows nothing of pixels. Values are those of EXIF: 1 upright, 2 to 8 mirrored or turned.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import Any, BinaryIO

from PIL import ExifTags, Image

from crop_core.io.metadata import png_chunks

TAG = int(ExifTags.Base.Orientation)
UPRIGHT = 1
SWAPPED = (5, 6, 7, 8)  # turned by a quarter: rows become columns
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_HEADER = b"Exif\0\0"
_NUMBERS = {3: "H", 4: "I"}  # EXIF type to the format of struct: SHORT, LONG
_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')  # as Pillow finds, and removes, it
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_PROFILE, _XMP_NAME = b"Raw profile type exif", b"XML:com.adobe.xmp"  # the first of ImageMagick, in hexadecimal
_MAX_TEXT = 2**20  # bytes of a text chunk, unpacked


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """The image upright; the same object where it is."""
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image


def turned_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """(width, height) after `turned`."""
    return size[::-1] if orientation in SWAPPED else size


def of_file(image: Image.Image, file: BinaryIO) -> int:
    """Orientation of the stored pixels of a file, opened as `image`; 1 where there is none or an invalid one."""
    if image.format == "HEIF":
        return UPRIGHT  # libheif turns the pixels by irot and imir; EXIF has no say in HEIC
    if image.format == "PNG":
        return _first(*_png(file))
    if image.format == "TIFF":
        return _valid(image.tag_v2[TAG]) if TAG in image.tag_v2 else _first(None, image.info.get("xmp"))  # type: ignore[attr-defined]
    return _first(image.info.get("exif"), image.info.get("xmp"))


def of_object(image: Image.Image) -> int:
    """Orientation of a loaded image from elsewhere, as Pillow says, or as its EXIF block does where Pillow fails."""
    try:
        tags = image.getexif()
        if TAG in tags:
            return _valid(tags[TAG])
    except Exception:  # on a broken block Pillow raises anything
        pass
    return _first(image.info.get("exif"), None)


def _first(exif: bytes | None, xmp: Any) -> int:
    """The orientation of EXIF, or else of XMP."""
    value = _tag(exif) if exif else None
    if value is None and xmp:
        found = _XMP.search(xmp.encode() if isinstance(xmp, str) else bytes(xmp))
        value = int(found[1]) if found else None
    return _valid(value)


def _valid(value: Any) -> int:
    return value if value in TURNS else UPRIGHT


def _tag(exif: bytes) -> int | None:
    """The orientation in a block of EXIF, None where there is none. Reads nothing but the entries of the first list."""
    while exif.startswith(_HEADER):
        exif = exif[len(_HEADER) :]
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", exif, entry)
            if tag == TAG:
                return struct.unpack_from(f"{order}{_NUMBERS[kind]}", exif, entry + 8)[0]
    except (struct.error, KeyError):  # the block ends before, or the value is no number
        pass
    return None


def _png(file: BinaryIO) -> tuple[bytes | None, bytes | None]:
    """EXIF and XMP of a PNG, the first of each, which may lie behind the pixels."""
    found: dict[bytes, bytes | None] = {}
    for kind, start, length in png_chunks(file):
        if kind == b"eXIf":
            found.setdefault(kind, _read(file, start, length))
        elif kind in _TEXTS:
            name = _read(file, start, min(length, 80)).partition(b"\0")[0]
            if name in (_PROFILE, _XMP_NAME) and name not in found:
                found[name] = _text(kind, _read(file, start, length)[len(name) + 1 :])
    exif = found.get(b"eXIf") or _profile(found.get(_PROFILE) or b"")
    return exif, found.get(_XMP_NAME)


def _read(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(min(length, _MAX_TEXT))


def _text(kind: bytes, chunk: bytes) -> bytes:
    """Text of a text chunk behind its keyword; b"" where it cannot be unpacked."""
    packed, text = kind == b"zTXt", chunk[1:]
    if kind == b"tEXt":
        return chunk
    if kind == b"iTXt":
        packed = chunk[:1] == b"\1"
        text = chunk[2:].partition(b"\0")[2].partition(b"\0")[2]  # behind language and translated keyword
    try:
        return zlib.decompressobj().decompress(text, _MAX_TEXT) if packed else text
    except zlib.error:
        return b""


def _profile(text: bytes) -> bytes | None:
    """EXIF in hexadecimal, after three lines of which one is its length."""
    try:
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except ValueError:
        return None
