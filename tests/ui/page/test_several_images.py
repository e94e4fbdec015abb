"""Several images of one question, and questions that follow one another."""

import json
from dataclasses import replace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from crop_core.io.images import ImageError
from crop_core.records.region import Region, RegionError
from crop_core.records.results import Comparison, StreamEvent
from crop_core.records.trace import PruneStep, TokenTrace
from tests.support.fake_records import FakeEngine, about_several, comparison, sample_image
from tests.support.panel import SETTINGS, Event
from ui.page.handlers import Handlers
from ui.page.images import MAX_IMAGES, open_all, other_regions
from ui.views import figures, texts
from ui.views.explorer_state import ExplorerState
from ui.views.history import History, strip_html, thread_html

KEPT = gr.skip()
SIZES = [(200, 100), (90, 120)]  # of the second and the third image


class Keeping(FakeEngine):
    """Remembers what each stream was given."""

    def __init__(self):
        super().__init__()
        self.given = []

    def stream(self, request):
        self.given.append(request)
        yield from super().stream(request)


@pytest.fixture
def files(tmp_path):
    paths = []
    for name, size in (("a", (336, 336)), ("b", SIZES[0]), ("c", SIZES[1])):
        sample_image(*size).save(tmp_path / f"{name}.png")
        paths.append(str(tmp_path / f"{name}.png"))
    return paths


def ask(handlers, files, question="what?", history=None, drawn="", settings=SETTINGS):
    """The history after a question about images."""
    *_, (_, note, after, _) = handlers.ask(history or History(), files[0], question, files[1:], *settings, drawn)
    assert note == ""
    return after


def follow(handlers, history, question, drawn=""):
    *_, (_, note, after, *_) = handlers.follow(history, question, *SETTINGS, drawn)
    assert note == ""
    return after


def test_regions_of_the_images_after_the_first():
    second, third = other_regions("3: 2 2 5 5", "predicted", SIZES)
    assert second is None
    assert third == Region(2, 2, 5, 5, 90, 120, "drawn")
    second, third = other_regions(" 2:0 1 3 4 ,", "whole", SIZES)
    assert second == Region(0, 1, 3, 4, 200, 100, "drawn")
    assert third == Region.whole(90, 120)
    assert other_regions(None, "drawn", SIZES) == [None, None], "the cells under Region are those of the first image"


@pytest.mark.parametrize(
    "text",
    [
        "2",
        "2: 1 2 3",
        "2: 1 2 3 4 5",
        "two: 0 0 1 1",
        "1: 0 0 1 1",
        "4: 0 0 1 1",
        "2: 0 0 8 1",
        "2: 3 0 1 1",
        "2: a b c d",
    ],
)
def test_regions_that_cannot_be_are_one_sentence(text):
    with pytest.raises(RegionError) as raised:
        other_regions(text, "predicted", SIZES)
    assert "\n" not in str(raised.value)


def test_a_region_of_an_image_that_is_not_there_is_refused():
    with pytest.raises(RegionError, match="only one"):
        other_regions("2: 0 0 1 1", "predicted", [])


def test_images_are_read_in_their_order_and_not_too_many(files):
    assert [image.size for image in open_all(files[0], files[1:])] == [(336, 336), *SIZES]
    assert len(open_all(files[0], None)) == 1
    with pytest.raises(ImageError, match=f"{MAX_IMAGES + 1} images"):
        open_all(files[0], files[:1] * MAX_IMAGES)
    with pytest.raises(ImageError, match="no image yet"):
        open_all(None, files)


def test_images_together_have_a_largest_size(files, monkeypatch):
    monkeypatch.setattr("ui.page.images.MAX_PIXELS", 336 * 336 + 200 * 100)
    assert len(open_all(files[0], files[1:2])) == 2
    with pytest.raises(ImageError, match="together"):
        open_all(files[0], files[1:])


def test_the_engine_gets_all_images_with_a_region_each(files):
    engine = Keeping()
    ask(Handlers(engine, []), files, drawn="3: 2 2 5 5", settings=(*SETTINGS[:9], "drawn", 0, 0, 1, 1))
    given = engine.given[0]
    assert [image.size for image in given.images] == [(336, 336), *SIZES]
    assert given.regions == (Region(0, 0, 1, 1, 336, 336, "drawn"), None, Region(2, 2, 5, 5, 90, 120, "drawn"))
    assert given.history == ()
    ask(Handlers(engine, []), files[:1])
    (image,), regions = engine.given[1].images, engine.given[1].regions
    assert (image.size, regions) == ((336, 336), (None,)), "one image is a list of one"


def test_the_explorer_is_told_of_every_image(files):
    shown = json.loads(ask(Handlers(FakeEngine(), []), files).shown.view.to_json()["data"])
    assert [other["size"] for other in shown["others"]] == [list(size) for size in SIZES]
    assert shown["others"][0]["region"] == {"grid": [5, 5, 6, 7], "source": "predicted", "confidence": 0.6}
    traces = [TokenTrace.from_json(each) for each in shown["result"]["others"]]
    assert [trace.image_size for trace in traces] == SIZES
    before = ExplorerState.of([sample_image(), sample_image(90, 120)]).to_json()
    assert len(before["others"]) == 1
    assert json.loads(before["data"])["others"] == [{"size": [90, 120], "region": None}]


def test_counts_and_curves_are_totals(files):
    run = ask(Handlers(FakeEngine(), []), files).shown
    assert "1728 visual tokens of 3 images in every layer" in texts.run_notes(run.result)["baseline"]
    alive = sum(trace.alive_counts for trace in run.result.crop.traces)
    every, pruned = figures.alive_curve(run.result).data
    assert list(pruned.y) == alive.tolist()
    assert set(every.y) == {3 * 576}


def large(region):
    """2880 tokens as LLaVA-NeXT has them (an overview and four tiles): nothing pooled, three scored cuts."""
    boxes = []
    for across in (24, 48):
        row, column = np.divmod(np.arange(across * across), across)
        x, y = region.width / across, region.height / across
        boxes.append(np.stack([column * x, row * y, (column + 1) * x, (row + 1) * y], axis=1))
    placed, view = np.concatenate(boxes), np.repeat([0, 1], [576, 2304])
    scores = np.random.default_rng(0).random(2880)
    steps = [PruneStep(layer, np.arange(count), scores) for layer, count in ((2, 2000), (8, 1000), (16, 300))]
    args = ((region.width, region.height), placed, (0, 0, region.width, region.height), region, region.mask(placed))
    return TokenTrace(*args, np.arange(2880), np.zeros(2880), 32, steps, view)


def test_two_large_images_stay_under_three_megabytes():
    noise = np.random.default_rng(0).integers(0, 255, (767, 1023, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((1531, 1147))  # as hard on JPEG as a photo of gravel
    region = Region(2, 1, 4, 3, *image.size, "predicted", 0.83)
    one = large(region)
    result = comparison(region=region, size=image.size, trace=one)
    result = replace(
        result,
        regions=(region, region),
        crop=replace(result.crop, traces=(one, one)),
        baseline=replace(result.baseline, traces=(one.unpruned(), one.unpruned())),
    )
    turned = image.transpose(Image.Transpose.ROTATE_180)
    view = ExplorerState.of([image, turned], "what?").event(StreamEvent("done", comparison=result))
    sent = len(json.dumps(view.to_json()))
    assert 1_000_000 < sent < 3_000_000, sent


def test_a_follow_up_is_told_what_was_asked_and_answered_before(files):
    engine = Keeping()
    handlers = Handlers(engine, [])
    first = ask(handlers, files)
    second = follow(handlers, first, "and the sign?", "2: 0 1 3 4")
    third = follow(handlers, second, "where?")
    given = engine.given[1]
    assert [image.size for image in given.images] == [(336, 336), *SIZES]
    assert (given.question, given.history) == ("and the sign?", (("what?", "rabbit"),))
    assert given.regions[1] == Region(0, 1, 3, 4, *SIZES[0], "drawn")
    assert engine.given[2].history == (("what?", "rabbit"), ("and the sign?", "rabbit"))
    assert third.shown.images is first.shown.images, "images are kept once"


def test_a_thread_stays_whole_when_an_earlier_turn_is_shown(files):
    handlers = Handlers(FakeEngine(), [])
    history = follow(handlers, follow(handlers, ask(handlers, files), "and the sign?"), "where?")
    for at in range(3):
        _, chosen = handlers.show_run(history, Event({"index": at}))
        html = thread_html(chosen)
        assert html.count("<li>") == 3
        assert html.index('aria-current="true"') > html.index(f'data-index="{at}"')
        assert html.count('aria-current="true"') == 1
    assert "Baseline: rabbit" in html
    assert "CROP: turtle" in html, "both runs' answers"
    assert html.count("run-region") == 9, "a region in each of three images, for each turn"


def test_a_follow_up_goes_on_at_the_end_of_the_thread_whichever_turn_is_shown(files):
    handlers = Handlers(FakeEngine(), [])
    history = follow(handlers, ask(handlers, files), "and the sign?")
    _, back = handlers.show_run(history, Event({"index": 0}))
    after = follow(handlers, back, "where?")
    assert [question for question, _ in after.thread] == ["what?", "and the sign?", "where?"]


def test_a_turn_that_is_asked_again_leaves_the_thread_as_it_is(files):
    handlers = Handlers(FakeEngine(), [])
    history = follow(handlers, ask(handlers, files), "and the sign?")
    again = ask(handlers, files, history=history)
    html = thread_html(again)
    assert html.count("<li>") == 2
    assert 'data-index="1" aria-current="true"' in html, "the run on screen stands for its turn, in place of the same"


def test_a_turn_that_is_no_longer_kept_is_still_told(files, monkeypatch):
    monkeypatch.setattr("ui.views.history.MAX_RUNS", 1)
    handlers = Handlers(FakeEngine(), [])
    history = follow(handlers, ask(handlers, files), "and the <b>sign</b>?")
    html = thread_html(history)
    assert "no longer kept" in html
    assert html.count("<button") == 1
    assert "&lt;b&gt;sign" in html


def test_the_question_on_screen_is_asked_again_as_the_follow_up_that_it_is(files):
    engine = Keeping()
    handlers = Handlers(engine, [])
    history = follow(handlers, ask(handlers, files), "and the sign?")
    *_, (_, _, after, _) = handlers.again(history, files[2], "something else?", None, "ilp", *SETTINGS[1:], "")
    assert engine.given[-1].question == "and the sign?"
    assert engine.given[-1].history == (("what?", "rabbit"),)
    assert strip_html(after).count('aria-current="true"') == 2, "in the thread, and among the runs of this question"
    *_, (_, note, alone, _) = handlers.again(History(), files[0], "what?", None, *SETTINGS, "")
    assert (note, len(alone.runs)) == ("", 1), "nothing on screen: the question on the left"


def test_another_image_or_question_stands_alone(files):
    handlers = Handlers(FakeEngine(), [])
    history = follow(handlers, ask(handlers, files), "and the sign?")
    assert thread_html(ask(handlers, files[:1], history=history)) == ""
    assert thread_html(ask(handlers, files, "how many?", history)) == ""
    assert thread_html(History()) == ""


@pytest.mark.parametrize(("question", "drawn"), [("", ""), ("why? " * 300, ""), ("where?", "9: 0 0 1 1")])
def test_a_bad_follow_up_is_one_sentence_and_stays_as_it_was_typed(files, question, drawn):
    handlers = Handlers(FakeEngine(), [])
    history = ask(handlers, files)
    history.leave()  # of which nothing is being measured
    moments = list(handlers.follow(history, question, *SETTINGS, drawn))
    assert len(moments) == 1
    explorer, note, after, _, typed = moments[0]
    assert explorer == after == typed == KEPT
    assert 'role="alert"' in note


def test_a_follow_up_without_an_answer_is_refused():
    explorer, note, after, _, typed = next(Handlers(FakeEngine(), []).follow(History(), "where?", *SETTINGS, ""))
    assert explorer == after == typed == KEPT
    assert "first question" in note


def test_what_the_model_refuses_half_way_leaves_the_answer_that_was(files):
    class Refusing(FakeEngine):
        def stream(self, request):
            yield StreamEvent("localize")
            raise ImageError("2 images are too many.")

    history = ask(Handlers(FakeEngine(), []), files)
    first, last = Handlers(Refusing(), []).follow(history, "where?", *SETTINGS, "")
    assert json.loads(first[0]["data"])["stage"] == "localize"
    assert last[0] == history.shown.view.to_json()
    assert "too many" in last[1]


def test_a_comparison_with_several_images_and_turns_is_read_back():
    result = about_several(comparison(history=[("what?", "cat")]), [Region(0, 0, 1, 1, 90, 120, "drawn")])
    back = Comparison.from_json(json.loads(json.dumps(result.to_json())))
    assert back.history == [("what?", "cat")]
    assert back.crop.traces[1].region == Region(0, 0, 1, 1, 90, 120, "drawn")
