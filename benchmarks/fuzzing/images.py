"""Fuzzing of the image loader: mutated files of every format that Pillow writes, headers of huge sizes."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from random import Random

import numpy as np
from PIL import Image
from pillow_heif import register_heif_opener

from benchmarks.fuzzing.mutations import check_sentence, mutate
from crop_core.io.decoding import FORMATS, upright_size
from crop_core.io.images import MAX_PIXELS, MAX_SIDE, ImageError, open_image

MODES = ("RGB", "L", "P", "RGBA", "1", "CMYK", "I;16", "F", "LA")
SIDES = (0, 1, 7_999, 8_001, 16_384, 16_385, 65_535, 100_000, 2**31 - 1, 2**32 - 1)  # sides that headers declare


class Images:
    """An input is the bytes of a file: an image within the limits, or a one-sentence error."""

    def __init__(self) -> None:
        self._files = list(_valid_files())

    def one(self, rng: Random) -> str:
        """Run one input; returns "read" or "refused". Raises for anything else."""
        valid, other = rng.choice(self._files), rng.choice(self._files)
        content = oversized(rng) if rng.random() < 0.1 else mutate(valid, other, rng)
        try:
            image = open_image(content)
        except ImageError as error:
            check_sentence(error)
            return "refused"
        assert image.mode == "RGB"
        assert image.width * image.height <= MAX_PIXELS and max(image.size) <= MAX_SIDE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert upright_size(io.BytesIO(content), lambda *_: None) == image.size
        return "read"


def _valid_files() -> list[bytes]:
    """Small images in every format and mode that Pillow can write, animations among them."""
    Image.init()
    register_heif_opener()
    noise = np.random.default_rng(5).integers(0, 256, (18, 24, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    files = []
    for kind in FORMATS:
        for mode in MODES:
            for more in ({}, {"save_all": True, "append_images": [image.rotate(180)]}):
                out = io.BytesIO()
                try:
                    image.convert("I" if mode == "I;16" else mode).convert(mode).save(out, kind, **more)
                except Exception:  # not in this mode, or not written by this Pillow, which raises various errors
                    continue
                files.append(out.getvalue())
    return sorted(set(files))


def oversized(rng: Random) -> bytes:
    """A file with a valid header that declares any size, with little data."""
    width, height = rng.choice(SIDES), rng.choice(SIDES)
    content = zlib.compress(b"\0" * rng.choice((10, 10_000, 1_000_000, 8_100_000)), 1)
    kind = rng.choice(("png", "bmp", "gif", "ppm", "tiff"))
    if kind == "png":
        header = struct.pack(">IIBBBBB", width, height, rng.choice((1, 8, 16)), rng.choice((0, 2, 3, 6)), 0, 0, 0)
        chunks = (b"IHDR", header), (b"IDAT", content), (b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in chunks
        )
    if kind == "bmp":
        signed = [side if side < 2**31 else -1 for side in (width, height)]
        return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 60, 0, 0, 54, 40, *signed, 1, 24, 0, 0, 0, 0, 0, 0) + content
    if kind == "gif":
        return b"GIF89a" + struct.pack("<HH", width % 65_536, height % 65_536) + b"\x80\0\0" + b"\0" * 6 + content[:99]
    if kind == "ppm":
        return f"P6 {width} {height} 255\n".encode() + content
    entries = [(256, width), (257, height), (258, 8), (262, 1), (273, 200), (277, 1), (278, height), (279, 2**31)]
    tags = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + tags + b"\0" * 4 + content
