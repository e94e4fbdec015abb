"""Prepared runs: what they bring along, and that the visitor's settings come back."""

from pathlib import Path

import gradio as gr
import pytest

from tests.support.panel import SETTINGS, Event
from ui.page.prepared import BroughtSettings, PreparedRuns, settings_for
from ui.page.request import KEYS
from ui.page.settings_line import SettingsLine, chips
from ui.views.examples import FAILS, Example, load_examples, strip_html
from ui.views.lesson import STEPS
from ui.views.lesson_progress import Progress

EXAMPLES = load_examples(Path("assets/examples"))
OWN = ("fastv", "custom", "25%", SETTINGS[3], "", False, "48", False, "7", "whole", 2, 2, 5, 5)
KEPT = gr.skip()
PLAIN = next(index for index, one in enumerate(EXAMPLES) if not one.pruning_fails)
FAILING = next(index for index, one in enumerate(EXAMPLES) if one.pruning_fails)


def named(values):
    return dict(zip(KEYS, values, strict=True))


def runs():
    return PreparedRuns(EXAMPLES, SETTINGS)


def clicked(index, number=0, before=None, present=OWN):
    return runs().example(Event({"index": index}), number, before, *present)


def test_an_example_runs_with_the_visitors_settings():
    number, brought, image, question, *values = clicked(PLAIN)
    assert (number, brought, question) == (1, None, EXAMPLES[PLAIN].question)
    assert Path(image) == EXAMPLES[PLAIN].image
    assert tuple(values) == OWN
    drawn = (*OWN[:9], "drawn", 0, 0, 1, 1)
    assert named(clicked(PLAIN, present=drawn)[4:])["mode"] == "predicted", "that region is of the image before"


def test_the_example_that_is_said_to_fail_at_64_tokens_runs_at_64_tokens():
    assert FAILS in strip_html([EXAMPLES[FAILING]]) and "64" in FAILS
    _, brought, _, _, *values = clicked(FAILING)
    assert named(values) == named(SETTINGS) | {"method": "crop", "budget": "64"}
    assert brought == BroughtSettings(tuple(values), OWN)
    (
        number,
        after,
        *_,
    ) = back = clicked(PLAIN, 1, brought, values)
    assert (number, after, tuple(back[4:])) == (2, None, OWN), "the visitor's come back"
    again = clicked(FAILING, 1, brought, values)
    assert again[1].own == OWN, "through several of them"


def test_what_the_visitor_changes_meanwhile_is_theirs():
    _, brought, _, _, *values = clicked(FAILING)
    changed = ["128" if key == "budget" else value for key, value in zip(KEYS, values, strict=True)]
    assert named(clicked(PLAIN, 1, brought, changed)[4:]) == named(OWN) | {"budget": "128"}


def test_every_step_brings_its_settings_and_the_end_brings_back_the_visitors():
    brought, present = None, OWN
    for at, step in enumerate(STEPS):
        waiting = runs().step(Progress(at), at, brought, *present)
        progress = Progress(at, {at: "predicted"})
        drew = (*waiting[4:13], "drawn", 0, 0, 1, 1)
        number, brought, image, _, *present = runs().step(progress, at, waiting[1], *drew)
        assert number == at + 1 and Path(image).name == step.image
        assert waiting[0] == KEPT and waiting[4:] == present, "all but the run, before a prediction"
        assert named(present) == named(SETTINGS) | step.settings
        refused = runs().step(Progress(at).predict(None), at, waiting[1], *drew)
        assert refused == [KEPT] * (4 + len(OWN)), "what is drawn after a prediction was missing stays"
    assert any(step.region for step in STEPS)
    for end in (-1, len(STEPS)):
        number, after, image, question, *values = runs().step(Progress(end), 7, brought, *drew)
        assert (number, after, image, question) == (KEPT, None, KEPT, KEPT), "and nothing is run"
        assert tuple(values) == OWN
    assert PreparedRuns([], SETTINGS).step(Progress(0), 0, None, *OWN)[0] == KEPT, "without its example nothing is run"


@pytest.mark.parametrize("data", [None, {}, {"index": len(EXAMPLES)}, {"index": -1}, {"index": "0"}, {"index": True}])
def test_an_example_that_is_none_changes_nothing(data):
    assert runs().example(Event(data), 0, None, *OWN) == [KEPT] * (4 + len(OWN))


def test_reset_is_the_page_as_it_opens():
    assert runs().reset() == [None, *SETTINGS]


def test_a_run_of_a_visitor_who_is_lent_nothing_keeps_their_settings():
    assert settings_for(None, SETTINGS, OWN, None) == (OWN, None)
    assert isinstance(EXAMPLES[PLAIN], Example) and EXAMPLES[PLAIN].settings is None


@pytest.mark.parametrize(
    ("values", "brought", "shown", "changed"),
    [
        (SETTINGS, None, ["CROP", "192 of 576", "region predicted"], False),
        (("ilp", "128", *SETTINGS[2:]), None, ["ILP alone", "128 of 576", "region predicted"], True),
        (OWN, None, ["FastV", "budget 25%", "no region", "2 more changed"], True),
        (("none", *SETTINGS[1:]), None, ["Baseline", "nothing pruned", "no region"], True),
        (
            ("crop", "ratios", *SETTINGS[2:9], "drawn", 0, 0, 1, 1),
            None,
            ["CROP", "ratios as given", "region drawn"],
            True,
        ),
        (
            ("crop", "64", *SETTINGS[2:]),
            BroughtSettings(SETTINGS, SETTINGS),
            ["CROP", "64 of 576", "region predicted", "for this example only"],
            True,
        ),
        (
            ("<b>", None, None, *SETTINGS[3:9], "<i>", 0, 0, 0, 0),
            None,
            ["&lt;b&gt;", "nothing pruned", "no region"],
            True,
        ),
    ],
)
def test_chips_tell_the_settings_of_the_next_run(values, brought, shown, changed):
    html, reset = chips(SETTINGS, brought, *values)
    assert html.count('class="chip"') == len(shown)
    assert [f'<b class="chip">{text}</b>' in html for text in shown] == [True] * len(shown)
    assert reset.interactive is changed


def test_the_line_has_one_button():
    with gr.Blocks() as page:
        SettingsLine(SETTINGS)
    assert [each.value for each in page.blocks.values() if isinstance(each, gr.Button)] == ["Reset"]
