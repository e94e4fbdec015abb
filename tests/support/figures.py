"""What tests of figures read of a matplotlib figure and of the written files."""

import contextlib
import re
import zlib

import numpy as np
from matplotlib.colors import to_hex
from matplotlib.patches import PathPatch

from crop_core.records.region import Region
from crop_core.records.trace import TokenTrace
from tests.support.fake_records import boxes, comparison, sample_image
from ui.export.figure import FigureOptions, figure
from ui.export.figure_style import style

MADE = {"date": "2026-11-26T20:00:00+00:00", "torch": "2.13.0"}
REGION = Region(2, 1, 4, 3, 336, 336, "predicted", 0.83)


def drawn(name="row", image=None, width=17.5, **fields):
    return figure(
        [image or sample_image()], comparison(made=MADE, **fields), FigureOptions(name, width, captioned=True)
    )


def area(rows):
    return sum((right - left) * (bottom - top) for left, top, right, bottom in rows)


def boxes_of(patch):
    """(K, 4) of a patch that is made of boxes, in the values of its axes."""
    corners = patch.get_path().vertices.reshape(-1, 5, 2)[:, :4]  # the last one only closes it
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def filled(axes, colour):
    """The patches of boxes that are filled in this colour, from back to front."""
    patches = [patch for patch in axes.patches if isinstance(patch, PathPatch)]
    return [patch for patch in patches if patch.get_facecolor()[3] and to_hex(patch.get_facecolor()) == colour]


def covered(axes, colour):
    """The area of the only patch of this colour, 0 for none."""
    return sum(area(boxes_of(patch)) for patch in filled(axes, colour))


def labels(shown, place=0):
    """What the legend of a panel says, each on one line."""
    return [text.get_text().replace("\n", " ") for text in shown.legends[place].get_texts()]


def handles(shown, place=0):
    return shown.legends[place].legend_handles


def texts_of(artist):
    """All texts of a figure or of axes, each on one line."""
    return [text.get_text().replace("\n", " ") for text in artist.texts]


def check_inside(shown):
    """Nothing reaches beyond the page, and every letter can be read."""
    width, height = shown.bbox.size
    for artist in [*shown.texts, *shown.legends, *shown.axes]:
        with style(letters=shown.letters):
            box = artist.get_tightbbox(shown.canvas.get_renderer())
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1, artist
    for text in shown.findobj(lambda each: hasattr(each, "get_fontsize")):
        assert not text.get_text() or text.get_fontsize() >= 6


def information(content, key):
    """A text of the PDF's information dictionary: a literal string in UTF-16 or PDFDocEncoding."""
    raw = re.search(rb"/%s \(((?:[^()\\]|\\.)*)\)" % key.encode(), content, re.DOTALL).group(1)
    escapes = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}

    def plain(match):
        code = match.group(1)
        return bytes([int(code, 8)]) if code.isdigit() else escapes.get(code, code)

    data = re.sub(rb"\\(\d{3}|.)", plain, raw, flags=re.DOTALL)
    return data.decode("utf-16") if data.startswith(b"\xfe\xff") else data.decode("latin-1")


def streams(content):
    """What can be unpacked of a PDF: the page, and how codes of letters are read."""
    for data in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL):
        with contextlib.suppress(zlib.error):
            yield zlib.decompress(data)


def luminance(swatch):
    """Of a patch on white, 0..255."""
    *rgb, alpha = swatch.get_facecolor()
    return float(np.array([0.299, 0.587, 0.114]) @ (255 * (1 - alpha * (1 - np.array(rgb)))))


def check_apart(swatches):
    """Any two differ in hatch or in lightness."""
    for at, one in enumerate(swatches):
        for other in swatches[:at]:
            assert one.get_hatch() != other.get_hatch() or abs(luminance(one) - luminance(other)) > 15, (one, other)


def ringed(rings):
    """A trace of pairs of tokens, in so many rings."""
    placed, visible = boxes(336, 336)
    group = np.arange(576) // 2
    return TokenTrace((336, 336), placed, visible, REGION, REGION.mask(placed), group, group % rings + 1, 12)
