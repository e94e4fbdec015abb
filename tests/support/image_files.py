"""Image files as cameras, scanners and broken disks write them: orientation in every place, damaged metadata."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image

ORIENTATION = 0x0112
STORED = {  # what undoes the turn of an orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
FAITHFUL: dict[str, dict[str, Any]] = {  # settings that keep the colours of the formats that lose some
    "JPEG": {"quality": 100, "subsampling": 0},
    "MPO": {"quality": 100, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    "HEIF": {"quality": -1, "chroma": 444},
}
SHORT, LONG, ASCII, SIGNED_RATIONAL = 3, 4, 2, 10
Entry = tuple[int, int, int, int]  # tag, type, count, value or place


def faithful(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The image as a file that keeps its colours."""
    return file_bytes(image, kind, **FAITHFUL.get(kind, {}), **options)


def stored(upright: Image.Image, orientation: int) -> Image.Image:
    """The pixels that a camera held so writes."""
    return upright.transpose(STORED[orientation]) if orientation in STORED else upright.copy()


def file_bytes(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The image as a file."""
    buffer = io.BytesIO()
    image.copy().save(buffer, kind, **options)  # a copy, since Pillow keeps settings of the last file
    return buffer.getvalue()


# -- EXIF ------------------------------------------------------------------------------------------------------------

BEYOND = 0xFFFFFF0
# What is beside the orientation in a broken block: entries before it, entries after it, and how many more are declared.
DAMAGE: dict[str, tuple[list[Entry], list[Entry], int]] = {
    "none": ([], [], 0),
    "a rational over 0": ([], [(37379, SIGNED_RATIONAL, 1, 200)], 0),
    "a maker beyond the end": ([(271, ASCII, 40, BEYOND)], [], 0),
    "a type that is none": ([(271, 99, 1, 0)], [(306, 77, 5, 1)], 0),
    "more entries than there are": ([], [], 900),
    "a list of tags beyond the end": ([], [(34665, LONG, 1, BEYOND), (34853, LONG, 1, BEYOND)], 0),
    "a list of tags in itself": ([], [(34665, LONG, 1, 8)], 0),
    "a text without an end": ([(270, ASCII, 2**31, 8)], [(305, ASCII, 0, 0)], 0),
}


def exif_block(orientation: int, damage: str = "none", order: str = "<", kind: int = SHORT) -> bytes:
    """An EXIF block with an orientation, and what else is wrong in it."""
    before, after, more = DAMAGE[damage]
    shift = 16 if order == ">" and kind == SHORT else 0  # a short value is at the left of its four bytes
    entries = [*before, (ORIENTATION, kind, 1, orientation << shift), *after]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    body = struct.pack(f"{order}H", len(entries) + more)
    body += b"".join(struct.pack(f"{order}HHII", *entry) for entry in entries) + bytes(4)
    rational = struct.pack(f"{order}ii", -1, 0)
    return b"Exif\0\0" + (head + body).ljust(200, b"\0") + rational


def xmp_packet(orientation: int) -> bytes:
    """An XMP packet with an orientation."""
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"/></rdf:RDF></x:xmpmeta>'
        % orientation
    )


# -- containers ------------------------------------------------------------------------------------------------------


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunk(png: bytes, chunk: bytes, before: bytes = b"IDAT") -> bytes:
    """A PNG with one more chunk before the first of another kind."""
    place = png.index(before) - 4
    return png[:place] + chunk + png[place:]


def jpeg_segment(marker: int, body: bytes) -> bytes:
    """A segment of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def with_segment(jpeg: bytes, segment: bytes) -> bytes:
    """A JPEG with one more segment, the first."""
    return jpeg[:2] + segment + jpeg[2:]


def with_tags(tiff: bytes, entries: list[Entry]) -> bytes:
    """A little-endian TIFF whose first list of tags is written anew behind the pixels, with more entries."""
    (start,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, start)
    old = [struct.unpack_from("<HHII", tiff, start + 2 + 12 * number) for number in range(count)]
    tags = {entry[0] for entry in entries}
    rows = sorted([*(row for row in old if row[0] not in tags), *entries])
    tiff += bytes(len(tiff) % 2)
    body = struct.pack("<H", len(rows)) + b"".join(struct.pack("<HHII", *row) for row in rows) + bytes(4)
    return tiff[:4] + struct.pack("<I", len(tiff)) + tiff[8:] + body
