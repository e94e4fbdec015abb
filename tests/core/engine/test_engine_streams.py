"""The engine's streams and requests: every event, one sentence for a bad request, nothing left behind when one ends."""

import itertools
import re
import threading

import pytest

from crop_core.engine.engine import CropEngine
from crop_core.records.region import Region
from crop_core.records.request import EngineRequest
from crop_core.records.results import STAGES, RunSpec
from tests.support.small_engine import IMAGE, OTHER, QUESTION, REGION, SMALL, config, figures, hooks, save_models


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return CropEngine.from_pretrained(*save_models(tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="module")
def compared(engine):
    """CROP's comparison, by itself."""
    return engine.compare(IMAGE, QUESTION, config("crop", repeats=2))


def test_a_stream_tells_every_token_and_ends_with_the_comparison(engine, compared, monkeypatch):
    monkeypatch.setattr("crop_core.engine.stream.PULSE", None)  # nothing is repeated, however slow the machine is
    events = list(engine.stream(IMAGE, QUESTION, config("crop")))
    stages = [event.stage for event in events]
    assert stages == sorted(stages, key=STAGES.index)
    assert stages.count("localize") == stages.count("compare") == stages.count("done") == 1
    for stage, side in (("baseline", compared.baseline), ("crop", compared.crop)):
        texts = [event.text for event in events if event.stage == stage]
        assert len(texts) == 1 + len(side.tokens)
        assert texts[-1] == side.text
        assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))
        assert {event.region for event in events if event.stage == stage} == {compared.region}
    assert figures(events[-1].comparison) == figures(compared)


def test_requests_give_what_the_methods_give(engine, compared):
    arguments = ((IMAGE,), QUESTION, config("crop"), (REGION,))
    result = engine.compare(IMAGE, QUESTION, config("crop"), REGION)
    *_, last = engine.stream(EngineRequest("stream", *arguments))
    for outcome in (engine.call(EngineRequest("compare", *arguments)), last.comparison):
        assert figures(outcome) == figures(result)
    assert engine.call(EngineRequest("answer", *arguments, memory=False)).text == result.crop.text
    assert engine.call(EngineRequest("localize", (IMAGE,), QUESTION)) == compared.region
    specs = (RunSpec("one", config("crop")), RunSpec("two", config("random")))
    many = list(engine.stream(EngineRequest("run_many", *arguments, specs=specs)))
    assert [each.region for each in many] == [Region.whole(200, 120), REGION, Region.whole(200, 120)]
    longest = config("crop").max_new_tokens
    assert [each.text for each in many] == [
        each.text for each in engine.run_many(IMAGE, QUESTION, specs, REGION, longest)
    ]


@pytest.mark.parametrize(
    ("entry", "kind", "images", "message"),
    [
        ("call", "answer", (), "There is no image; give at least one."),
        ("call", "localize", (IMAGE, OTHER), "This takes one image at a time, not 2; give exactly one."),
        ("stream", "run_many", (IMAGE, OTHER), "This takes one image at a time, not 2; give exactly one."),
        ("call", "stream", (IMAGE,), "A request of kind 'stream' has many results; use `stream`."),
        ("stream", "answer", (IMAGE,), "A request of kind 'answer' has one result; use `call`."),
    ],
)
def test_a_request_that_cannot_be_is_one_sentence(engine, entry, kind, images, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        next(iter(getattr(engine, entry)(EngineRequest(kind, images, QUESTION))))


@pytest.mark.parametrize("stage", ["localize", "baseline", "crop", "compare"])
def test_a_closed_stream_leaves_nothing_behind(engine, compared, stage):
    before = hooks(engine)
    stream = engine.stream(IMAGE, QUESTION, config("crop"))
    next(event for event in stream if event.stage == stage)
    stream.close()
    assert hooks(engine) == before
    assert not [thread for thread in threading.enumerate() if thread.name == "crop-stream"]
    assert engine.compare(IMAGE, QUESTION, config("crop")).crop.text == compared.crop.text


def test_a_long_silence_is_broken_so_that_a_stream_can_be_closed_in_it(engine, monkeypatch):
    monkeypatch.setattr("crop_core.engine.stream.PULSE", 0.01)
    go_on, forward = threading.Event(), engine.localizer.localize
    with monkeypatch.context() as patch:
        patch.setattr(engine.localizer, "localize", lambda *request: go_on.wait(20) and forward(*request))
        stream = engine.stream(IMAGE, QUESTION, config("crop"))
        first, *again = (next(stream) for _ in range(3))
        assert first.stage == "localize" and again == [first] * 2
        go_on.set()
        assert list(stream)[-1].comparison is not None


def test_an_error_inside_a_run_leaves_nothing_behind(engine, monkeypatch):
    before = hooks(engine)
    with monkeypatch.context() as patch:
        patch.setattr(engine.adapter, "decode", lambda ids: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(engine.stream(IMAGE, QUESTION, SMALL))
    assert hooks(engine) == before
    with monkeypatch.context() as patch:
        patch.setattr(engine.localizer, "localize", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(engine.stream(IMAGE, QUESTION, SMALL))
    assert engine.compare(IMAGE, QUESTION, SMALL).crop.text


def test_two_at_once_get_their_own(engine):
    requests = {
        "first": (IMAGE, QUESTION, config("crop"), REGION),
        "second": (OTHER, "where is the cat?", config("ilp"), Region(0, 3, 3, 6, 90, 160)),
    }
    alone = {name: figures(engine.compare(*request)) for name, request in requests.items()}
    assert alone["first"]["crop"]["tokens"] != alone["second"]["crop"]["tokens"]
    together, barrier = {}, threading.Barrier(4)

    def work(name, streamed):
        barrier.wait()
        result = list(engine.stream(*requests[name]))[-1].comparison if streamed else engine.compare(*requests[name])
        together[name, streamed] = figures(result)

    threads = [threading.Thread(target=work, args=(name, streamed)) for name in requests for streamed in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == {(name, streamed): alone[name] for name in requests for streamed in (True, False)}
