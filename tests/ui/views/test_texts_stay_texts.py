"""Questions, answers, settings and names of files, as anybody may write them: never HTML, and never endless."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from crop_core.records.config import Budget, ConfigError
from crop_core.records.formatting import MAX_REPR, truncated_repr
from crop_core.records.region import Region
from crop_core.records.results import Comparison, RunError
from tests.support.fake_records import FakeEngine, comparison, run_result, sample_image
from ui.export import load_runs
from ui.export.report import page
from ui.page import controls
from ui.page.layout import build
from ui.page.sweeps import progress
from ui.views import figures
from ui.views.explorer_state import COLUMNS, ExplorerState
from ui.views.history import FinishedRun, History, strip_html
from ui.views.progress import ProgressBar
from ui.views.rendering import message

HOSTILE = "<b>bold</b><img src=x onerror=alert(1)><a href='https://evil.example'>here</a>"
MARKUP = re.compile(r"<(b>bold|img src=x|a href='https://evil)")


def hostile(question: str = HOSTILE, **fields: Any) -> Comparison:
    """A run in which question and answers are HTML."""
    result = comparison(question, **fields)
    texts = {name: replace(getattr(result, name), text=HOSTILE) for name in ("baseline", "crop")}
    return replace(result, **texts)


def strings(value: Any) -> list[str]:
    """Every text in a JSON value."""
    if isinstance(value, (dict, list)):
        return [text for each in (value.values() if isinstance(value, dict) else value) for text in strings(each)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize(
    "figure",
    [
        lambda: figures.budget_curves([run_result(text=HOSTILE), run_result("CROP", text=HOSTILE)]),
        lambda: figures.answer_map(
            sample_image(), [run_result(text=HOSTILE), run_result("0,0", text=HOSTILE)], Region.whole(336, 336)
        ),
    ],
)
def test_plotly_is_given_letters(figure: Any) -> None:
    """It reads <b>, <br> and <a href> in whatever it shows; its own entities alone it turns back into letters."""
    values = strings(json.loads(figure().to_json()))
    assert any("&lt;b&gt;bold" in text for text in values)
    assert not [text for text in values if MARKUP.search(text)]


def test_messages_cards_and_lines_hold_letters() -> None:
    result = hostile(history=[(HOSTILE, HOSTILE)])
    view = ExplorerState.of(sample_image(), HOSTILE)
    history = History().add(FinishedRun((sample_image(),), result, view, file=HOSTILE))
    history = history.add(FinishedRun((sample_image(),), result, view, file=HOSTILE))
    for made in (
        message(HOSTILE),
        message(HOSTILE, HOSTILE),
        strip_html(history),
        progress(ProgressBar(2), 1, 2, [RunError(HOSTILE, "crop", HOSTILE)]),
    ):
        assert "&lt;img" in made and not MARKUP.search(made)


def test_the_report_holds_letters_outside_its_data() -> None:
    result = hostile(question=HOSTILE + "</script>")
    outside = re.sub(
        r"<script.*?</script>", "", page(ExplorerState.of(sample_image(), HOSTILE), result).decode(), flags=re.DOTALL
    )
    assert "&lt;img" in outside and not MARKUP.search(outside)


def test_no_widget_that_reads_markdown_is_given_what_people_write() -> None:
    app = build(FakeEngine(), [])
    written = {output._id for fn in app.fns.values() for output in fn.outputs if isinstance(output, gr.Markdown)}
    assert {app.blocks[each].elem_id for each in written} == {
        "lesson-text",
        "lesson-verdict",
        "no-link",
    }  # our own words
    (table,) = [each for each in app.blocks.values() if isinstance(each, gr.Dataframe)]
    assert table.datatype in ("str", ["str"] * len(COLUMNS))


def test_a_file_is_named_in_printable_letters(tmp_path: Path) -> None:
    path = tmp_path / "runs.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("../../a\nb\u202e.json", "{}")
        packed.writestr("x" * 300 + ".json", "{}")
    first, second = load_runs.open_files([str(path)]).notices
    assert first.startswith("'a?b?.json' is not a recorded run")
    assert len(second.partition(" is not")[0]) <= MAX_REPR + 3


def test_a_zip_that_holds_nothing_is_told(tmp_path: Path) -> None:
    path = tmp_path / "runs.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("read.me", "nothing")
    assert load_runs.open_files([str(path)]).notices == [
        "No recorded run found; choose JSON files of recorded runs, or a zip of them."
    ]


def test_a_wrong_value_is_repeated_in_part() -> None:
    assert truncated_repr("64x") == "'64x'"
    assert truncated_repr("9" * 5000) == "'" + "9" * 29 + "…" + "9" * 29 + "'"
    assert truncated_repr([1, 2]) == "[1, 2]"
    for read in (
        lambda: Budget.parse("9" * 5000 + "x"),
        lambda: controls.parse_rings("1" * 5000),
        lambda: controls.parse_schedule("1:1," * 2000),
    ):
        with pytest.raises(ConfigError) as caught:
            read()
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize("place", [0, 2, 3, 4, 6])
@pytest.mark.parametrize("value", [5, 2.5, True, ["crop"], {}])
def test_a_setting_that_is_no_text_is_one_sentence(place: int, value: Any) -> None:
    values: list[Any] = ["crop", "192", "", "1:4, rest:36", "", False, "", False, "predicted", 2, 2, 5, 5]
    values[place] = value
    with pytest.raises(ConfigError, match=r"^A setting is a text, not .*\.$"):
        controls.parse_settings(values, (336, 336))
