"""Measuring after the answers: the order of the runs, their number and limits, and that others may run in between."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from crop_core.engine import measure
from crop_core.engine.compare import RequestRuns, compare
from crop_core.engine.engine import CropEngine
from crop_core.engine.run import Task
from crop_core.records.request import EngineRequest
from crop_core.records.timing import NOT_MEASURED
from tests.support.small_engine import IMAGE, QUESTION, REGION, config, hooks, save_models


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return CropEngine.from_pretrained(*save_models(tmp_path_factory.mktemp("models")))


def request(kind="measure", **changes):
    settings = config("crop", **{"repeats": 4, **changes})
    return EngineRequest(kind, (IMAGE,), QUESTION, settings)


def test_an_answer_comes_before_anything_is_measured(engine, monkeypatch):
    monkeypatch.setattr("crop_core.engine.stream.PULSE", None)
    events = list(engine.stream(request("stream")))
    assert [event.stage for event in events][-2:] == ["compare", "done"]
    result = events[-1].comparison
    assert result.crop.cost.runs == [] and result.crop.cost.peak_method == NOT_MEASURED
    assert result.crop.cost.kv_bytes and result.crop.cost.flops and result.crop.cost.total_s > 0


def test_both_runs_alternate_and_memory_comes_last(engine, monkeypatch):
    order, generate = [], engine.adapter.model.generate
    runs = RequestRuns(Task(engine.adapter, [IMAGE], QUESTION, request().config), [engine.localizer])

    def noted(**inputs):
        order.append("run")
        return generate(**inputs)

    monkeypatch.setattr(engine.adapter.model, "generate", noted)
    for name in ("baseline", "crop"):
        run = getattr(runs, name)
        monkeypatch.setattr(runs, name, lambda *a, run=run, name=name, **o: order.append(name) or run(*a, **o))
    seen = [(len(each.baseline), len(each.crop), len(each.peaks)) for each in measure.measure(runs)]
    assert seen == [(1, 1, 0), (2, 2, 0), *[(3, 3, 0)] * 4, (3, 3, 3)]
    assert order == ["baseline", "run", "crop", "run"] * 4
    alone = RequestRuns(runs.task, runs.localizers, memory=False)
    assert [(len(each.baseline), len(each.crop)) for each in measure.measure(alone, with_baseline=False)] == [
        (0, 1), (0, 2), (0, 3),
    ]  # fmt: skip


def test_the_localizer_is_in_every_time_of_crop_and_in_none_of_the_baseline(engine):
    *_, last = engine.stream(request())
    measured = last.measured
    assert all(run.localizer_s > 0 for run in measured.crop)
    assert all(run.localizer_s == run.compression_s == run.scoring_s == 0 for run in measured.baseline)
    for run in (*measured.baseline, *measured.crop):
        stages = run.localizer_s + run.encode_s + run.compression_s + run.scoring_s + run.prefill_s
        assert 0 < stages <= run.ttft_s <= run.total_s
    assert min(peak.bytes for peak in measured.peaks) > 0


@pytest.mark.parametrize(("measure_s", "pairs"), [(0.0, 1), (5.0, 2), (1e9, 3)])
def test_measuring_ends_with_the_seconds_that_it_may_take(engine, monkeypatch, measure_s, pairs):
    """Of the runs themselves, not of a clock: a pair of these takes four seconds."""
    time = measure.Timed.time.fget
    monkeypatch.setattr(measure.Timed, "time", property(lambda timed: replace(time(timed), total_s=2.0)))
    runs = RequestRuns(
        Task(engine.adapter, [IMAGE], QUESTION, request(measure_s=measure_s).config), [engine.localizer], memory=False
    )
    assert [len(each.crop) for each in measure.measure(runs)] == list(range(1, pairs + 1))


def test_a_comparison_in_one_call_is_answered_and_measured(engine):
    result = engine.compare(IMAGE, QUESTION, request().config)
    assert [len(run.cost.runs) for run in (result.baseline, result.crop)] == [3, 3]
    assert result.baseline.cost.total_s in [run.total_s for run in result.baseline.cost.runs]
    assert result.crop.cost.peak_bytes > 0
    answer = engine.answer(IMAGE, QUESTION, request().config)
    assert len(answer.cost.runs) == 3 and answer.cost.peak_bytes == result.crop.cost.peak_bytes
    once = engine.compare(IMAGE, QUESTION, request(repeats=1).config)
    assert once.crop.cost.runs == [] and once.crop.cost.peak_bytes == result.crop.cost.peak_bytes
    without = engine.compare(IMAGE, QUESTION, request().config, memory=False)
    assert without.crop.cost.peak_method == NOT_MEASURED and len(without.crop.cost.runs) == 3


def test_others_run_between_two_pairs_and_closing_ends_it(engine):
    before = hooks(engine)
    stream = engine.stream(request(repeats=50))
    next(event for event in stream if event.measured)
    other = engine.compare(IMAGE, QUESTION, config("crop"), REGION)  # the model is free while nobody reads
    assert other.crop.text
    more = next(event for event in stream if event.measured and len(event.measured.crop) > 1)
    assert len(more.measured.crop) == 2, "nothing was measured meanwhile"
    stream.close()
    assert hooks(engine) == before
    assert not [thread for thread in threading.enumerate() if thread.name == "crop-stream"]


def test_a_measurement_of_what_was_answered_at_half_size_is_of_half_the_size(engine, monkeypatch):
    from crop_core.engine import out_of_memory

    runs = RequestRuns(Task(engine.adapter, [IMAGE], QUESTION, request(repeats=2).config), [engine.localizer])
    smaller = RequestRuns(runs.task, runs.localizers)
    measured = []

    def limited(which, with_baseline=True):
        measured.append(which)
        if which is runs:
            raise MemoryError
        yield from measure.measure(which, with_baseline)

    monkeypatch.setattr(out_of_memory, "measure", limited)
    monkeypatch.setattr(out_of_memory, "_smaller", lambda _: smaller)
    events = list(out_of_memory.measure_with_fallback(runs, True, lambda: None))
    assert measured == [runs, smaller] and len(events[-1].crop) == 1
    monkeypatch.setattr(out_of_memory, "_smaller", lambda _: None)
    with pytest.raises(out_of_memory.OutOfMemory):
        list(out_of_memory.measure_with_fallback(runs, True, lambda: None))


def test_a_comparison_says_nothing_about_causes(engine):
    result = compare(RequestRuns(Task(engine.adapter, [IMAGE], QUESTION, request().config), [engine.localizer]))
    assert not any("slower" in notice for notice in result.notices)
