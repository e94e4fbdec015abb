"""Letters of figures: embedded, in the font and size that were chosen, and none cut off in a column of 8.5 cm."""

import io
import itertools
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from crop_core.records.results import RunError
from crop_core.records.sheet import Sheet, SheetRow
from tests.support.fake_records import comparison, run_result, sample_image, trace
from tests.support.figures import REGION, check_inside, ringed
from tests.support.pdf_fonts import pdf_fonts
from ui.export.figure import FIGURES, FigureOptions, figure
from ui.export.figure_files import written
from ui.export.letters import FONTS, FigureError, Letters
from ui.export.multi_run_figures import sheet_figure

SIZES = (6, 7, 8, 9, 10)
METHODS = ("Baseline", "CROP", "PyramidDrop", "Learned PLC + ILP", "Distinct", "Queries alone")


def sheet(images=2, names=METHODS):
    """A sheet whose rows have one run of each method, and one that failed."""
    runs = tuple(run_result(name, trace=ringed(3) if k % 2 else trace(REGION)) for k, name in enumerate(names))
    failed = (RunError("FastV", "fastv", "A budget of 7 tokens is too small."),)
    return Sheet(tuple(SheetRow(sample_image(), f"what is {k}?", runs, failed) for k in range(images)), "64 tokens")


def every_figure(letters, width=8.5):
    """All figures that there are in these letters."""
    options = [FigureOptions(name, width, captioned=True, letters=letters) for name in FIGURES]
    yield from (figure([sample_image()], comparison(trace=ringed(4)), each) for each in options)
    yield sheet_figure(sheet()).figure(width, letters, captioned=True)


def words_of(shown):
    """Titles, captions, names and legends: all that must not be cut off."""
    legends = [text for legend in shown.legends for text in legend.get_texts()]
    axes = [text for axes in shown.axes for text in axes.texts]
    return [text.get_text() for text in (*shown.texts, *legends, *axes)]


@pytest.mark.parametrize("font", FONTS)
def test_every_font_of_a_pdf_is_embedded_and_is_the_chosen_one(font):
    own = {"sans": "DejaVuSans", "serif": "STIXGeneral"}[font]
    for shown in every_figure(Letters(font)):
        fonts = pdf_fonts(written(shown, "PDF"))
        assert fonts and all(fonts.values()), fonts
        assert all(name.rpartition("+")[2].startswith(own) for name in fonts), fonts


def test_the_reader_of_fonts_finds_one_that_is_not_embedded():
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    out = io.BytesIO()
    with rc_context({"pdf.use14corefonts": True, "font.family": "sans-serif"}):
        plain = Figure()
        plain.text(0.5, 0.5, "what?")
        plain.savefig(out, format="pdf")
    assert pdf_fonts(out.getvalue()) == {"Helvetica": False}


@pytest.mark.parametrize(("font", "size"), [*itertools.product(FONTS, SIZES)])
def test_no_word_is_cut_off_in_a_column(font, size):
    for shown in every_figure(Letters(font, size)):
        assert [text for text in words_of(shown) if "…" in text] == []
        check_inside(shown)
        sizes = {text.get_fontsize() for text in shown.texts}
        assert sizes <= {size, size + 1}


def test_columns_of_a_sheet_that_do_not_fit_go_on_below_under_their_names():
    wide, narrow = (sheet_figure(sheet()).figure(width) for width in (17.5, 8.5))
    assert [sum(text.get_text() == "PyramidDrop" for text in each.texts) for each in (wide, narrow)] == [1, 2]
    for shown in (wide, narrow):
        assert len([axes for axes in shown.axes if axes.images]) == 2 * len(METHODS)
        assert sum(text.get_text() == "–" for text in shown.texts) == 2, "the run that failed"


def test_in_a_sheet_a_line_is_an_image_and_a_column_a_method():
    shown = sheet_figure(sheet(3, METHODS[:3])).figure(17.5)
    boxes = np.array([axes.get_position().bounds for axes in shown.axes if axes.images]).reshape(3, 3, 4)
    assert np.ptp(boxes[:, :, 0], axis=0).max() < 1e-9, "the same left edge in each line"
    assert np.ptp(boxes[:, :, 1], axis=1).max() < 1e-9 and (np.diff(boxes[:, 0, 1]) < 0).all()
    assert shown.facts["image 2"].startswith("an image; what is 1?; Baseline: rabbit; CROP: rabbit;")
    assert "FastV: A budget of 7 tokens is too small." in shown.facts["image 2"]


def test_outlines_leave_no_text_in_an_svg():
    with_text, outlines = (
        ET.fromstring(written(figure([sample_image()], comparison(), FigureOptions(letters=letters)), "SVG"))
        for letters in (Letters(), Letters(outlines=True))
    )
    text = "{http://www.w3.org/2000/svg}text"
    assert list(with_text.iter(text)) and not list(outlines.iter(text))
    assert "what is left of the dog?" in "".join(outlines.itertext()), "the metadata stays"


@pytest.mark.parametrize("values", [("comic", 7), ("sans", 5.9), ("sans", 10.1), ("sans", float("nan"))])
def test_other_letters_are_refused(values):
    with pytest.raises(FigureError, match=r"^(The font|Letters of) .*\b(choose|give)\b.*\.$"):
        Letters(*values)


def test_a_figure_saved_by_matplotlib_is_the_file_of_the_app(tmp_path):
    shown = figure([sample_image()], comparison(), FigureOptions("region", 8.5))
    for kind in ("PDF", "SVG", "PNG"):
        shown.savefig(tmp_path / f"a.{kind.lower()}")
        assert (tmp_path / f"a.{kind.lower()}").read_bytes() == written(shown, kind)
    out = io.BytesIO()
    shown.savefig(out, format="png", dpi=100)
    assert out.getvalue() == written(shown, "PNG", 100)
    shown.savefig(tmp_path / "a.webp")
    assert Image.open(tmp_path / "a.webp").format == "WEBP"
    assert Image.open(io.BytesIO(shown._repr_png_())).info["question"] == "what is left of the dog?"
