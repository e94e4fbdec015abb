"""Image files without their metadata, for decoders that stumble over it. Knows nothing of pixels.

A text of megabytes, a broken colour profile or camera tag is no reason not to see an image.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_PIXEL_SEGMENTS = (0xE0, 0xE1, 0xEE)  # JFIF, EXIF, Adobe's colours; the other APPn and comments go
MAX_PARTS = 100_000  # chunks or segments that are looked at: more than any program writes
_SHORTEST = 16  # bytes of a segment that says something: Adobe's
SCAN = 0xDA
_EXIF_ITEM = re.compile(rb"(infe[\x02\x03].{7,9})Exif", re.DOTALL)  # in the list of items of AVIF and HEIC
_ASCII, _RATIONALS = 2, (5, 10)  # types in TIFF
_TIFF = (b"II*\0", b"MM\0*")
_KIND_OF_IMAGE, _SMALLER, _DNG = 254, 1, 50706  # a tag, a bit of its value, the tag of DNG's version
_FIRST_LIST = 2**16  # bytes within which it lies in raw files


def without_metadata(file: BinaryIO) -> io.BytesIO | None:
    """The same image without what is no pixels (its orientation stays); None where that is the file itself."""
    file.seek(0)
    head = file.read(16)
    if head.startswith(PNG):
        return _bare_png(file)
    if head.startswith(JPEG):
        return _bare_jpeg(file)
    if head[:4] in _TIFF:
        return _bare_tiff(file)
    if head[4:8] == b"ftyp":
        return io.BytesIO(_EXIF_ITEM.sub(rb"\1none", _all(file)))
    return None


def png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """(type, place of the data, its length) of every chunk of a PNG, the last of which may be cut off."""
    end, place = file.seek(0, io.SEEK_END), len(PNG)
    for _ in range(MAX_PARTS):
        if place + 8 > end:
            return
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        yield kind, place + 8, length
        place += 12 + length


def jpeg_segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of every segment of a JPEG up to its first scan, whose pixels follow its end."""
    place, marker = len(JPEG), 0
    for _ in range(MAX_PARTS):
        if marker == SCAN or place + 4 > len(content) or content[place] != 0xFF:
            return
        marker = content[place + 1]
        if marker == 0xFF:  # a filler
            place += 1
            continue
        end = place + 2 + int.from_bytes(content[place + 2 : place + 4], "big")
        yield marker, place, end
        place = end


def _all(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


def _bare_png(file: BinaryIO) -> io.BytesIO:
    out = io.BytesIO(PNG)
    out.seek(0, io.SEEK_END)
    for kind, start, length in list(png_chunks(file)):
        if kind in _PIXEL_CHUNKS:
            file.seek(start - 8)
            out.write(file.read(length + 12))
    out.seek(0)
    return out


def _bare_jpeg(file: BinaryIO) -> io.BytesIO | None:
    content, kept, marker, end = _all(file), [JPEG], 0, len(JPEG)
    for marker, start, end in jpeg_segments(content):
        about_it = 0xE0 <= marker <= 0xEF or marker == 0xFE
        if not about_it or (marker in _PIXEL_SEGMENTS and end - start >= _SHORTEST):
            kept.append(content[start:end])
    return io.BytesIO(b"".join([*kept, content[end:]])) if marker == SCAN else None


def _bare_tiff(file: BinaryIO) -> io.BytesIO | None:
    """With the first list of tags shortened in place: no offset changes."""
    content = bytearray(_all(file))
    order = "<" if content.startswith(b"II") else ">"
    try:
        start, entries = _first_list(content, order)
        kept = [entry for entry in entries if _of_pixels(*struct.unpack_from(f"{order}HH", entry))]
    except struct.error:
        return None
    content[start : start + 6 + 12 * len(kept)] = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + bytes(4)
    return io.BytesIO(content)


def is_raw_photo(file: BinaryIO) -> bool:
    """Whether a TIFF is a camera's raw file: Canon's, a DNG, or one that begins with a smaller version of its image."""
    file.seek(0)
    head = file.read(_FIRST_LIST)
    if not head.startswith(_TIFF):
        return False
    order = "<" if head.startswith(b"II") else ">"
    try:
        tags = {struct.unpack_from(f"{order}H", each)[0]: each for each in _first_list(head, order)[1]}
        smaller = _KIND_OF_IMAGE in tags and struct.unpack_from(f"{order}I", tags[_KIND_OF_IMAGE], 8)[0] & _SMALLER
    except struct.error:
        return False
    return bool(smaller) or _DNG in tags or head[8:10] == b"CR"


def _first_list(content: bytes | bytearray, order: str) -> tuple[int, list[bytes]]:
    """Place of a TIFF's first list of tags, and its entries of 12 bytes; struct.error where it is none."""
    (start,) = struct.unpack_from(f"{order}I", content, 4)
    (count,) = struct.unpack_from(f"{order}H", content, start)
    return start, [bytes(content[place : place + 12]) for place in range(start + 2, start + 2 + 12 * count, 12)]


def _of_pixels(tag: int, kind: int) -> bool:
    """Whether a tag of TIFF says how the pixels are stored: layout, colours, tables; all else is about them."""
    return (254 <= tag <= 347 and kind != _ASCII and kind not in _RATIONALS) or 512 <= tag <= 532
