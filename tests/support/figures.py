"""What tests of figures read out of them."""

import re

import numpy as np

from crop_core.region import Region
from crop_core.trace import TokenTrace
from tests.support.fake_records import boxes

REGION = Region(2, 1, 4, 3, 336, 336, "predicted", 0.83)


def information(content, key):
    """A text of the PDF's information dictionary: a literal string in UTF-16 or PDFDocEncoding."""
    raw = re.search(rb"/%s \(((?:[^()\\]|\\.)*)\)" % key.encode(), content, re.DOTALL).group(1)
    escapes = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}

    def plain(match):
        code = match.group(1)
        return bytes([int(code, 8)]) if code.isdigit() else escapes.get(code, code)

    data = re.sub(rb"\\(\d{3}|.)", plain, raw, flags=re.DOTALL)
    return data.decode("utf-16") if data.startswith(b"\xfe\xff") else data.decode("latin-1")


def luminance(key):
    """Of a swatch on white, 0..255."""
    rgb = np.array([int(key.colour[k : k + 2], 16) for k in (1, 3, 5)])
    return float(np.array([0.299, 0.587, 0.114]) @ (255 + key.alpha * (rgb - 255)))


def ringed(rings):
    """A trace of pairs of tokens, in so many rings."""
    placed, visible = boxes(336, 336)
    group = np.arange(576) // 2
    return TokenTrace((336, 336), placed, visible, REGION, REGION.mask(placed), group, group % rings + 1, 12)
