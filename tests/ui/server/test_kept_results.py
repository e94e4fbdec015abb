"""Equal requests of the page: one run for all who ask, what is kept and what never is, and what the page says of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from crop_core.records.config import Budget, CropConfig
from crop_core.records.environment import now
from crop_core.records.region import Region
from crop_core.records.request import QueueStatus
from crop_core.records.results import RunError, RunResult, RunSpec, StreamEvent
from tests.support.fake_records import FakeEngine, request, sample_image
from tests.support.panel import SETTINGS
from ui.page.handlers import Handlers
from ui.page.sweeps import SweepHandlers
from ui.server.hosting import Hosting
from ui.server.kept_results import KeepingEngine
from ui.server.settings import Settings
from ui.views.history import History

PATIENCE = 20  # seconds; nothing takes as long
REGION = Region(0, 0, 1, 1, 336, 336, "drawn")
WAYS = (RunSpec("CROP", CropConfig()),)
TOO_SMALL = (RunSpec("CROP", CropConfig(budget=Budget(mean_tokens=7))),)


class Counting(FakeEngine):
    """Counts its streams and those that were closed before their end; each event waits until `go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = self.closed = 0
        self.go = threading.Event()
        self.go.set()

    def stream(self, request: Any) -> Iterator[Any]:
        self.begun += 1
        try:
            for event in super().stream(request):
                assert self.go.wait(PATIENCE)
                yield event
        except GeneratorExit:
            self.closed += 1
            raise


@pytest.fixture
def engine() -> Counting:
    return Counting()


@pytest.fixture
def keeping(engine: Counting) -> KeepingEngine:
    return KeepingEngine(engine, 10**7)


def test_the_same_is_run_once_and_its_end_is_kept(engine: Counting, keeping: KeepingEngine) -> None:
    first = list(keeping.stream(request()))
    again = list(keeping.stream(request()))
    assert engine.begun == 1 and len(first) > 1
    assert [event.stage for event in again] == ["done"]
    assert again[0].comparison.crop.text == first[-1].comparison.crop.text
    assert again[0].comparison.trace.to_json() == first[-1].comparison.trace.to_json()


@pytest.mark.parametrize(
    "other",
    [
        request(question="what else?"),
        request("stream", "what?", sample_image(335, 336)),
        request("stream", "what?", sample_image(), sample_image()),
        request(config=CropConfig(method="plc")),
        request(config=CropConfig(budget=Budget(mean_tokens=100))),
        request(config=CropConfig(max_new_tokens=3)),
        request(regions=(REGION,)),
        request(history=(("who?", "nobody"),)),
        request("measure"),
        request("run_many", specs=WAYS),
    ],
)
def test_whatever_differs_is_run(engine: Counting, keeping: KeepingEngine, other: Any) -> None:
    for each in (request(), other):
        list(keeping.stream(each))
    assert engine.begun == 2


def test_a_fresh_one_is_run_and_a_call_too(engine: Counting, keeping: KeepingEngine) -> None:
    list(keeping.stream(request()))
    assert len(list(keeping.stream(request(fresh=True)))) > 1
    assert engine.begun == 2
    assert keeping.call(request("compare")) is not keeping.call(request("compare"))


def test_all_runs_of_a_sweep_come_again_but_not_after_one_that_failed(engine: Counting, keeping: KeepingEngine) -> None:
    for _ in range(2):
        names = [each.name for each in keeping.stream(request("run_many", specs=WAYS))]
        assert names == ["Baseline", "CROP"] and engine.begun == 1
    for count in (2, 3):
        *_, last = keeping.stream(request("run_many", specs=TOO_SMALL))
        assert isinstance(last, RunError) and engine.begun == count


def test_a_measurement_is_kept_once_it_is_whole(engine: Counting, keeping: KeepingEngine) -> None:
    stream = keeping.stream(request("measure"))
    [next(stream) for _ in range(3)]
    stream.close()
    assert engine.closed == 1
    assert len(list(keeping.stream(request("measure")))) == 7
    (kept,) = keeping.stream(request("measure"))
    assert engine.begun == 2 and kept.measured.peaks


def test_who_comes_meanwhile_reads_along_and_may_stay_when_the_first_leaves(
    engine: Counting, keeping: KeepingEngine
) -> None:
    first, second, third = (keeping.stream(request()) for _ in range(3))
    seen = [next(first) for _ in range(3)]
    assert [next(second) for _ in range(3)] == seen
    first.close()
    rest = list(second)
    assert rest[-1].comparison and (engine.begun, engine.closed) == (1, 0)
    assert list(third) == [*seen, *rest], "also what came before it began to read"


def test_the_run_ends_with_its_last_reader_and_the_next_begins_anew(engine: Counting, keeping: KeepingEngine) -> None:
    first, second = keeping.stream(request()), keeping.stream(request())
    next(first), next(second)
    first.close()
    assert engine.closed == 0
    second.close()
    assert engine.closed == 1
    assert list(keeping.stream(request()))[-1].comparison and engine.begun == 2


def test_many_threads_read_the_same(engine: Counting, keeping: KeepingEngine) -> None:
    engine.go.clear()
    read: list[list[StreamEvent]] = [[] for _ in range(8)]
    streams = [keeping.stream(request()) for _ in read]
    threads = [threading.Thread(target=lambda at=at: read[at].extend(streams[at])) for at in range(8)]
    for thread in threads:
        thread.start()
    engine.go.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert engine.begun == 1 and read[0][-1].comparison
    assert all(each == read[0] for each in read)


def test_a_failure_reaches_every_reader_and_is_not_kept(engine: Counting) -> None:
    class Broken(Counting):
        def stream(self, request: Any) -> Iterator[Any]:
            self.begun += 1
            yield StreamEvent("localize")
            raise ValueError("No memory is left.")

    engine = Broken()
    keeping = KeepingEngine(engine, 10**7)
    both = keeping.stream(request()), keeping.stream(request())
    for stream in both:
        with pytest.raises(ValueError, match="No memory is left"):
            list(stream)
    with pytest.raises(ValueError, match="No memory"):
        list(keeping.stream(request()))
    assert engine.begun == 2


def test_only_the_newest_place_in_the_queue_is_told_to_who_reads_along() -> None:
    class Waiting(FakeEngine):
        def stream(self, request: Any) -> Iterator[Any]:
            yield from (QueueStatus(ahead) for ahead in (3, 2, 1))
            yield from super().stream(request)

    keeping = KeepingEngine(Waiting(), 10**7)
    first, second = keeping.stream(request()), keeping.stream(request())
    assert [next(first).ahead for _ in range(3)] == [3, 2, 1]
    assert next(second) == QueueStatus(1)
    assert next(second).stage == "localize"


def test_the_longest_unread_goes_first_and_nothing_is_kept_above_the_limit(engine: Counting) -> None:
    one = KeepingEngine(engine, 10**9)
    list(one.stream(request()))
    size = sum(map(len, one._kept.values()))
    keeping = KeepingEngine(engine, int(2.5 * size))
    engine.begun = 0
    for question in ("first", "again", "first", "third"):  # "first" is read again: "again" has to go
        list(keeping.stream(request(question=question)))
    assert engine.begun == 3
    list(keeping.stream(request(question="first")))
    assert engine.begun == 3
    list(keeping.stream(request(question="again")))
    assert engine.begun == 4
    for limit in (0, size // 2):
        none = KeepingEngine(engine, limit)
        engine.begun = 0
        list(none.stream(request())), list(none.stream(request()))
        assert engine.begun == 2


def test_a_class_costs_no_more_than_its_questions() -> None:
    """Neither the rate nor a queue of one place refuses who asks what is run already."""
    engine = Counting()
    hosted = Hosting(Settings(_env_file=None, rate=2, max_queue=1)).wrap_engine(engine)
    streams = [hosted.stream(request(question=f"what {at % 2}?")) for at in range(40)]
    ends = [list(stream)[-1] for stream in streams]
    assert engine.begun == 2 and {end.comparison.question for end in ends} == {"what 0?", "what 1?"}


class Dated(FakeEngine):
    """Its answers and runs are of a time that a test sets."""

    date = ""

    def stream(self, request: Any) -> Iterator[Any]:
        for each in super().stream(request):
            yield replace(each, made={"date": self.date}) if isinstance(each, RunResult) else each

    def comparison(self, request: Any) -> Any:
        return replace(super().comparison(request), made={"date": self.date})


def test_the_page_says_of_when_an_answer_is_until_it_is_measured_again(tmp_path: Any) -> None:
    engine = Dated()
    handlers = Handlers(engine, [])
    sample_image().save(tmp_path / "scene.png")
    hints = []
    for date in ("2026-01-02T03:04:05+00:00", now()):
        engine.date = date
        *_, (view, _, history, _) = handlers.ask(History(), str(tmp_path / "scene.png"), "what?", None, *SETTINGS, "")
        hints.append(history.shown.view.hint)
        assert (f'"hint": "{hints[-1]}"' in view["data"]) or f'"hint":"{hints[-1]}"' in view["data"]
    assert "these answers are of 03:04:05 UTC" in hints[0] and hints[1] == ""
    engine.date = "2026-01-02T03:04:05+00:00"
    *_, (_, _, history, _) = handlers.ask(History(), str(tmp_path / "scene.png"), "what?", None, *SETTINGS, "")
    asked: list[Any] = []
    engine.stream = lambda request: asked.append(request) or FakeEngine.stream(engine, request)  # type: ignore[method-assign]
    list(handlers.measure_new(history))
    list(handlers.measure(history))
    assert [each.fresh for each in asked] == [False, True]
    assert history.shown.view.hint == ""


def test_a_sweep_says_of_when_its_runs_are(tmp_path: Any) -> None:
    engine = Dated()
    sample_image().save(tmp_path / "scene.png")
    said = []
    for date in ("2026-01-02T03:04:05+00:00", now()):
        engine.date = date
        *_, (*_, status) = SweepHandlers(engine).methods(str(tmp_path / "scene.png"), "what?", ["plc"], *SETTINGS)
        said.append("The same was asked here before: these runs are of 03:04:05 UTC." in status)
        assert "Done: 1 run." in status
    assert said == [True, False]
