import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl

import gradio as gr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crop_core.records.config import ConfigError
from crop_core.records.region import RegionError
from tests.support.fake_records import FakeEngine, sample_image
from tests.support.panel import SETTINGS
from ui.export.load_runs import opening_example
from ui.page.handlers import Handlers
from ui.page.request import KEYS, link_query, read_link
from ui.views.examples import Example
from ui.views.history import History

EXAMPLES = [
    Example(Path("assets/examples/01.jpg"), "what?", "a", "count"),
    Example(Path("02.jpg"), "how?", "b", "count"),
]


def back(query, defaults=SETTINGS):
    return read_link(dict(parse_qsl(query)), EXAMPLES, defaults)


@pytest.mark.parametrize(
    "settings",
    [
        SETTINGS,
        ("ilp", "custom", "11.1%", "1:4, rest:36", "2:0.5, 6:0.2", True, "48", True, "7", "drawn", 0, 1, 2, 7),
        ("plc", "64", "", SETTINGS[3], "", False, "", False, "", "whole", 2, 2, 5, 5),
    ],
)
def test_a_link_brings_back_what_it_was_made_of(settings):
    query = link_query(EXAMPLES[1], "what is <left> of & the dog?", settings)
    assert back(query) == ("02.jpg", "what is <left> of & the dog?", *settings)


def test_a_link_without_settings_leaves_them_as_they_are():
    assert back("example=02.jpg") == ("02.jpg", "how?", *SETTINGS)


@pytest.mark.parametrize("query", ["", "question=what", "example="])
def test_a_link_that_names_no_example_changes_nothing(query):
    assert back(query) is None


@pytest.mark.parametrize(
    "query",
    ["budget=custom&custom=lots", "method=magic", "mode=drawn&x0=9", "x0=zz", "rings=near:far", "schedule=a" * 300],
)
def test_a_link_with_values_that_cannot_be_is_refused_in_a_sentence(query):
    with pytest.raises((ConfigError, RegionError)) as error:
        back("example=01.jpg&" + query)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize("name", ["99.jpg", "../../etc/passwd", "x" * 300])
def test_a_link_to_an_example_that_is_not_there_says_so(name):
    with pytest.raises(ConfigError, match=r"There is no example '.{,100}'; choose one on the page\.$"):
        back(f"example={name}")


@given(st.dictionaries(st.sampled_from([*KEYS, "example", "question"]), st.text(max_size=30)))
def test_any_link_is_read_or_refused(params):
    with suppress(ConfigError, RegionError):
        assert len(read_link({**params, "example": "01.jpg"}, EXAMPLES, SETTINGS)) == 2 + len(SETTINGS)


def test_a_run_of_an_example_has_a_link_and_one_of_another_image_has_none(tmp_path):
    handlers = Handlers(FakeEngine(), EXAMPLES[:1])
    other = tmp_path / "own.png"
    sample_image(64, 64).save(other)
    linked = [
        list(handlers.ask(History(), str(path), "what?", None, *SETTINGS, ""))[-1][2]
        for path in (EXAMPLES[0].image, other)
    ]
    own, none = (handlers.link(history.shown) for history in linked)
    assert back(own) == (str(EXAMPLES[0].image), "what?", *SETTINGS)
    assert none == ""
    for history, has_link in zip(linked, (True, False), strict=True):
        _, link, *codes, no_link, _ = handlers.beside(history)
        assert [each.visible for each in (link, *codes, no_link)] == [has_link] * 3 + [not has_link], (
            "what has no link says how to share it"
        )


def test_several_images_and_follow_ups_have_no_link(tmp_path):
    handlers = Handlers(FakeEngine(), EXAMPLES[:1])
    other, example = tmp_path / "own.png", str(EXAMPLES[0].image)
    sample_image(64, 64).save(other)
    *_, (_, _, pair, _) = handlers.ask(History(), example, "what?", [str(other)], *SETTINGS, "")
    *_, (_, _, alone, _) = handlers.ask(History(), example, "what?", None, *SETTINGS, "")
    *_, (_, _, followed, *_) = handlers.follow(alone, "where?", *SETTINGS, "")
    assert handlers.link(alone.shown)
    assert not handlers.link(pair.shown)
    assert not handlers.link(followed.shown)
    assert followed.shown.settings == SETTINGS


def test_the_page_opens_with_the_image_of_its_recorded_run(tmp_path):
    assert opening_example(EXAMPLES) == EXAMPLES[0]
    alone = replace(EXAMPLES[0], image=Path(shutil.copy(EXAMPLES[0].image, tmp_path)))
    assert opening_example([alone]) is None and opening_example([]) is None, "it opens on no run"
    request = SimpleNamespace(query_params={})
    assert Handlers(FakeEngine(), EXAMPLES).restore(request, *SETTINGS) == (gr.skip(),) * (4 + len(SETTINGS)), (
        "what a visitor gave while the page loaded stays"
    )
