"""The comparison sheet of the page: results are added, replaced and removed, and leave as files."""

import csv
from pathlib import Path

import gradio as gr
import pytest

from tests.support.fake_records import FakeEngine, sample_image
from tests.support.panel import SETTINGS
from ui.page.save_figure import saved
from ui.page.sheet import EMPTY, MAX_ROWS, NOTHING, added, shortened, shown
from ui.page.sweeps import SweepHandlers

LETTERS = ("sans", 7, False, False)


def result(folder, name="a.png", question="what?", methods=("crop", "random"), custom="64", size=(336, 336)):
    """Figure of *Methods* for an image."""
    sample_image(*size).save(folder / name)
    settings = (SETTINGS[0], "custom", custom, *SETTINGS[3:])
    return list(SweepHandlers(FakeEngine()).methods(str(folder / name), question, list(methods), *settings))[-1][2]


def test_results_are_collected_and_leave_as_one_figure_and_two_tables(tmp_path):
    sheet, export, status = added(None, result(tmp_path))
    sheet, export, status = added(sheet, result(tmp_path, "b.png", "how many?", ("crop", "plc"), size=(900, 600)))
    assert "2 images by Baseline, CROP, Random, PLC; budget 64 tokens:" in status and "b.png: how many?" in status
    assert [row.image.size for row in sheet.rows] == [(336, 336), (450, 300)], "no larger than they are drawn"
    figure, table, latex, note, caption = saved(export, True, "SVG", 17.5, *LETTERS)
    assert figure.value["path"].endswith("crop-explorer-sheet.svg") and "figure-preview" in note
    with Path(table.value["path"]).open() as lines:
        rows = [(row["image"], row["run"]) for row in csv.DictReader(lines)]
    assert rows == [
        *(("a.png", run) for run in ("Baseline", "CROP", "Random")),
        *(("b.png", run) for run in ("Baseline", "CROP", "PLC")),
    ]
    assert "how many?" in Path(latex.value["path"]).read_text() and latex.visible
    assert caption.startswith("2 images with a question each")


def test_the_same_image_and_question_is_replaced(tmp_path):
    sheet, *_ = added(None, result(tmp_path))
    sheet, *_ = added(sheet, result(tmp_path, question="how many?"))
    sheet, *_ = added(sheet, result(tmp_path, methods=("plc",)))
    assert [row.question for row in sheet.rows] == ["how many?", "what?"] and sheet.rows[1].methods == ("PLC",)


def test_a_sheet_of_one_row_may_change_its_budget_and_a_longer_one_not(tmp_path):
    sheet, *_ = added(None, result(tmp_path))
    assert added(sheet, result(tmp_path, custom="25%"))[0].budget == "25 %", "its only row was replaced"
    kept, _, note = added(sheet, result(tmp_path, question="how many?", custom="25%"))
    assert kept == gr.skip() and "The sheet has the budget 64 tokens, and this result 25 %;" in note


def test_a_sheet_has_a_largest_length(tmp_path):
    sheet = None
    for number in range(MAX_ROWS):
        sheet, *_ = added(sheet, result(tmp_path, question=f"{number}?"))
    assert len(sheet.rows) == MAX_ROWS
    assert f"{MAX_ROWS} images, and no more fit" in added(sheet, result(tmp_path, question="more?"))[2]
    assert len(added(sheet, result(tmp_path, question="0?", methods=("plc",)))[0].rows) == MAX_ROWS


@pytest.mark.parametrize("export", [None])
def test_nothing_to_add_is_told(export):
    assert NOTHING in added(None, export)[2]


def test_rows_are_removed_from_the_end_and_none_are_left(tmp_path):
    sheet, *_ = added(None, result(tmp_path))
    two, *_ = added(sheet, result(tmp_path, question="how many?"))
    assert [row.question for row in shortened(two)[0].rows] == ["what?"]
    for empty in (shortened(sheet), shortened(None), shown(None)):
        assert empty[:2] == (None, None) and EMPTY in empty[2]
