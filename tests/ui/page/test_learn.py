import json
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest

from crop_core.records.config import PRESETS
from crop_core.records.methods import METHODS
from crop_core.records.region import Region
from crop_core.train.world.questions import KINDS
from tests.support.fake_records import FakeEngine, comparison, sample_image
from tests.support.panel import SETTINGS
from ui.page.handlers import Handlers
from ui.page.lesson_bar import DRAW_FIRST, PREDICT_FIRST, LessonHandlers, drawn
from ui.page.tabs.learn import both_answers, failures_html
from ui.views.examples import load_examples
from ui.views.explorer_state import ExplorerState
from ui.views.history import FinishedRun, History
from ui.views.lesson import GLOSSARY, OUTCOMES, STEPS, WHY_FAILED
from ui.views.lesson_progress import Progress
from ui.views.rendering import render

EXAMPLES = load_examples(Path("assets/examples"))
KEPT = gr.skip()
DRAWS = next(at for at, step in enumerate(STEPS) if step.draws)
GIVEN = next(at for at, step in enumerate(STEPS) if step.right is not None)


def example(at):
    return next(one for one in EXAMPLES if one.image.name == STEPS[at].image)


def lesson():
    return LessonHandlers(Handlers(FakeEngine(), EXAMPLES))


def history(at, **fields):
    """With a finished run of a step's example."""
    result = comparison(example(at).question, **fields)
    return History().add(FinishedRun((sample_image(),), result, ExplorerState.of(sample_image(), result.question)))


def radio(update):
    return [label for label, _ in update.choices], update.value, update.interactive


@pytest.mark.parametrize("at", range(len(STEPS)), ids=[step.title for step in STEPS])
def test_every_step_can_be_shown_and_run(at):
    step = STEPS[at]
    assert example(at)
    assert step.method in METHODS and step.budget in PRESETS
    assert step.right is None or 0 <= step.right < len(step.choices)
    _, box, text, choice, verdict, summary, back, on = lesson().moment(Progress(at))
    assert (box.visible, verdict, summary.visible, back.interactive, on.value) == (True, "", False, at > 0, "Reveal")
    assert text.startswith(f"## {at + 1} of {len(STEPS)}. {step.title}")
    assert f"“{example(at).question}”" in text
    assert (choice.visible, radio(choice)) == (not step.draws, ([*step.choices], None, True))


def test_a_prediction_comes_first_then_the_run_then_the_right_choice():
    bar = lesson()
    started, *_ = bar.start()
    asked, *_, verdict, _, _, on = bar.advance(started, None, "predicted", 2, 2, 5, 5)
    assert (asked, verdict, on.value) == (replace(started, refused=True), PREDICT_FIRST, "Reveal")
    assert bar.advance(started, "something else", "predicted", 2, 2, 5, 5)[0] == asked
    assert bar.show(asked, History(), None, None) == (KEPT,) * 4, "what is drawn meanwhile stays"
    revealed, _, _, choice, verdict, *_, on = bar.advance(started, OUTCOMES[2], "predicted", 2, 2, 5, 5)
    assert revealed.runs and (verdict, on.value) == ("", "Next")
    assert radio(choice) == ([*OUTCOMES], OUTCOMES[2], False), "nothing is told before its run"
    assert bar.tell(revealed, History()) == (KEPT,) * 9
    assert bar.tell(revealed, history(1)) == (KEPT,) * 9, "that is another run"
    assert bar.tell(started, history(0)) == (KEPT,) * 9
    told, _, _, choice, verdict, *_ = bar.tell(revealed, history(0))
    assert verdict.startswith(f"**Not quite:** “{OUTCOMES[0]}” is right.") and STEPS[0].look in verdict
    assert radio(choice)[0] == [f"{OUTCOMES[0]} ✓ right", OUTCOMES[1], f"{OUTCOMES[2]} ✗"]
    right, _, _, choice, verdict, *_ = bar.tell(bar.advance(started, OUTCOMES[0], "", *"2255")[0], history(0))
    assert verdict.startswith("**Right.**") and radio(choice)[0] == [f"{OUTCOMES[0]} ✓ right", *OUTCOMES[1:]]
    assert bar.advance(told, None, "", *"2255")[0] == told.to(1)
    assert bar.back(right.to(1))[0].at == bar.back(right)[0].at == 0


def test_a_region_is_drawn_before_the_predicted_one_is_shown():
    bar, started = lesson(), Progress(DRAWS)
    assert json.loads(started.cue)["draw"] is True
    for mode, grid in (("predicted", (2, 2, 5, 5)), ("drawn", (5, 2, 2, 5)), ("drawn", (None, "x", 9, 9)), (None, ())):
        assert drawn(mode, grid) is None
        further, *_, verdict, _, _, _ = bar.advance(started, None, mode, *grid)
        assert (further, verdict) == (replace(started, refused=True), DRAW_FIRST)
    revealed, *_ = bar.advance(started, None, "drawn", 1, 1, 2, 2)
    cue = json.loads(revealed.cue)
    assert (cue["draw"], cue["guess"]) == (False, [1, 1, 2, 2])
    predicted = Region(2, 2, 3, 4, 336, 336, "predicted", 0.5)
    *_, verdict, _, _, _, cue = bar.tell(revealed, history(DRAWS, region=predicted))
    assert "You drew 4 of 64 cells, the localizer predicted 6; 1 are in both." in verdict
    assert json.loads(cue)["part"] == STEPS[DRAWS].part and json.loads(cue)["guess"] == [1, 1, 2, 2]


def test_the_image_is_there_before_the_prediction_and_its_run_after():
    bar = lesson()
    view, note, stop, cue = bar.show(Progress(0), history(1), None, None)
    data = json.loads(view["data"])
    assert (data["stage"], data["question"], data["result"]) == ("predict", example(0).question, None)
    assert stop.interactive is False and "message" not in note and cue == Progress(0).cue
    revealed = Progress(0).predict(OUTCOMES[0])
    assert bar.show(revealed, history(0), None, None) == (KEPT, KEPT, KEPT, revealed.cue)
    run = history(0)
    view, *_, cue = bar.show(Progress(), run, None, None)
    assert cue == "{}" and view == KEPT, "what is on screen stays"
    assert LessonHandlers(Handlers(FakeEngine(), [])).show(Progress(0), run, None, None)[0] == KEPT


def test_a_step_that_was_left_before_its_run_began_is_not_run(tmp_path):
    sample_image().save(tmp_path / "scene.png")
    inputs = History(), str(tmp_path / "scene.png"), "what?", None, *SETTINGS, ""
    assert list(lesson().ask(Progress(1), *inputs)) == [(KEPT,) * 4]
    for progress in (Progress(), Progress(0).predict(OUTCOMES[0])):
        assert isinstance(list(lesson().ask(progress, *inputs))[-1][2], History)


def test_the_end_is_a_summary_and_once_more_begins_anew():
    bar = lesson()
    progress = Progress(GIVEN).predict(STEPS[GIVEN].choices[0]).tell(comparison())
    progress = progress.to(0).predict(OUTCOMES[0]).tell(comparison())
    progress = progress.to(DRAWS).predict(Region(2, 1, 4, 3, 8, 8)).tell(comparison())
    last = progress.to(len(STEPS) - 1).predict(OUTCOMES[2])
    assert bar.moment(last)[-1].value == "Done"
    over, box, _, choice, _, summary, back, on = bar.advance(last, None, "", *"2255")
    assert (over.at, over.step, box.visible, choice.visible, summary.visible) == (len(STEPS), None, True, False, True)
    assert f"2 of {len(STEPS)} right." in summary.value and (back.interactive, on.value) == (True, "Once more")
    assert f"You: {STEPS[GIVEN].choices[0]}" in summary.value and f"Came: {STEPS[GIVEN].choices[2]}" in summary.value
    assert "“rabbit” in the baseline" in summary.value and "9 cells, 9 of them yours" in summary.value
    assert summary.value.count("its run did not end") == len(STEPS) - 3
    assert bar.advance(over, None, "", *"2255")[0] == Progress(0)
    assert bar.back(over)[0].at == len(STEPS) - 1
    ended, box, *_ = bar.end()
    assert (ended, box.visible) == (Progress(), False)
    assert Progress(0).to(-1) == last.to(len(STEPS) + 1) == Progress()
    assert Progress().predict("x") == Progress().tell(comparison()) == Progress()


@pytest.mark.parametrize(
    ("own", "words", "hit"),
    [
        ((2, 1, 4, 3), "They agree.", True),
        ((4, 3, 7, 7), "They hardly agree.", False),
        ((7, 7, 7, 7), "not meet", False),
    ],
)
def test_overlap_in_plain_words(own, words, hit):
    outcome = STEPS[DRAWS].judge(Region(*own, 8, 8), comparison(region=Region(2, 1, 4, 3, 336, 336, "predicted", 0.9)))
    assert words in outcome.verdict and outcome.hit is hit


def test_an_outcome_is_read_from_the_run():
    judged = [
        STEPS[0].judge(OUTCOMES[0], comparison()).right,
        STEPS[0].judge(OUTCOMES[0], comparison(changed=True)).right,
    ]
    assert judged == [OUTCOMES[0], OUTCOMES[2]]


def test_failures_tell_both_answers_and_why():
    failures = [index for index, one in enumerate(EXAMPLES) if one.pruning_fails]
    assert failures
    rows = json.loads(Path("assets/examples/examples.json").read_text())
    html = failures_html(EXAMPLES, failures)
    for index in failures:
        assert f'data-index="{index}"' in html
        assert both_answers(EXAMPLES[index]) == (
            f"“{rows[index]['answer']}” in the baseline, “{rows[index]['measured']['crop 64']}” with CROP at 64"
        )
    assert set(WHY_FAILED) == set(KINDS)


def test_the_glossary_holds_every_term_once():
    html = render("glossary", GLOSSARY)
    assert html.count("<dt>") == len(GLOSSARY)
    assert "KV cache" in html
