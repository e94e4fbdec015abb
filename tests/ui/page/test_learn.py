import json
from pathlib import Path

import pytest

from crop_core.records.config import PRESETS
from crop_core.records.methods import METHODS
from crop_core.train.world.questions import KINDS
from ui.page.tabs.learn import both_answers, failures_html, moment
from ui.views.examples import load_examples
from ui.views.lesson import GLOSSARY, STEPS, WHY_FAILED
from ui.views.rendering import render

EXAMPLES = load_examples(Path("assets/examples"))


@pytest.mark.parametrize("step", STEPS, ids=[step.title for step in STEPS])
def test_every_step_can_be_shown_and_answered(step):
    assert any(one.image.name == step.image for one in EXAMPLES)
    assert step.method in METHODS and step.budget in PRESETS
    assert 0 <= step.right < len(step.choices)
    right = [choice for choice in step.choices if step.verdict(choice).startswith("**Right.**")]
    assert right == [step.choices[step.right]]
    assert all(step.why in step.verdict(choice) for choice in step.choices)
    assert step.verdict(None) == step.verdict("something else") == ""


def test_the_steps_are_those_of_the_course():
    assert [step.title for step in STEPS] == [
        "Why prune?",
        "Localize",
        "Before the LLM",
        "Inside the LLM",
        "What it costs",
        "Where it fails",
    ]
    assert next(one for one in EXAMPLES if one.image.name == STEPS[-1].image).pruning_fails


def test_a_moment_is_a_step_or_the_end():
    at, box, text, choice, verdict, back, on = moment(0)
    assert (at, box.visible, verdict, back.interactive, on.value) == (0, True, "", False, "Next")
    assert text.startswith("### 1 of 6. Why prune?")
    assert [name for name, _ in choice.choices] == list(STEPS[0].choices)
    assert moment(len(STEPS) - 1)[-1].value == "Done"
    for place in (-1, len(STEPS), None, "0", True):
        at, box, *_ = moment(place)
        assert (at, box.visible) == (-1, False)


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
