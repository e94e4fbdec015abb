"""The engine on Ray Serve: a small cluster of this machine, two workers on the bundled models, one of them killed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from crop_core.engine.engine import CropEngine
from crop_core.records.config import Budget, CropConfig
from crop_core.records.results import Comparison, RunSpec, StreamEvent
from tests.support import ROOT
from tests.support.fake_records import request as asked
from ui.server import ray_serve
from ui.server.ray_engine import ServedEngine, WorkerError, deployment

pytest.importorskip("ray")
pytest.importorskip("aiohttp_cors", reason="ray[serve] is not installed")
pytest.importorskip("watchfiles", reason="ray[serve] is not installed")

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`"),  # in Ray Serve itself
]
CONFIG = CropConfig(budget=Budget(mean_tokens=64), repeats=1)
PATIENCE = 60


def load() -> CropEngine:
    """What a worker loads; one thread, as it shares this machine."""
    import torch

    torch.set_num_threads(1)
    return CropEngine.from_pretrained()


def started(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict[str, Any]:
    """What the command asks of Ray Serve, which is not started."""
    from ray import serve

    asked_for: dict[str, Any] = {}
    monkeypatch.setattr(sys, "argv", ["ray_serve", *arguments])
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(serve, "start", asked_for.update)
    monkeypatch.setattr(serve, "run", lambda app, **named: asked_for.update(named))
    monkeypatch.setattr(ray_serve, "application", lambda *given: asked_for.update(workers=given[1:]))
    ray_serve.main()
    return asked_for


def test_the_command_serves_at_the_address_of_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROP_HOST", "0.0.0.0")
    asked_for = started(monkeypatch, "--min-workers", "2", "--max-workers", "3", "--gpus", "0.5")
    assert asked_for["workers"] == (2, 3, 0.5) and asked_for["name"] == "crop"
    http = asked_for["http_options"]
    assert http["host"] == "0.0.0.0" and 7860 <= http["port"] < 7960


def test_the_command_ends_with_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (["--least", "0"], ["--least", "3"], ["--gpus", "-1"]):
        with pytest.raises(SystemExit, match="2"):
            started(monkeypatch, *arguments)
    monkeypatch.setenv("CROP_HOST", "203.0.113.5")
    with pytest.raises(SystemExit, match=r"^CROP Explorer: The app cannot listen at '203\.0\.113\.5' \(.*\.$"):
        started(monkeypatch)


def images(count: int) -> list[Image.Image]:
    """Noise in sizes that differ."""
    return [Image.effect_noise((200 + number, 160), 90).convert("RGB") for number in range(count)]


@pytest.fixture(scope="module")
def engine() -> Iterator[ServedEngine]:
    import ray
    from ray import serve

    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), str(ROOT / "tests"))))
        patch.setenv("OMP_NUM_THREADS", "1")
        ray.init("local", num_cpus=3, object_store_memory=100 * 2**20, **quiet)
        handle = serve.run(deployment(load, 2, 2), name="crop", route_prefix=None)
        yield ServedEngine(handle)
        serve.shutdown()
        ray.shutdown()


def workers() -> list[int]:
    """Processes of the engine."""
    import psutil

    children = psutil.Process().children(recursive=True)
    return [each.pid for each in children if "ServeReplica:crop:Engine" in " ".join(each.cmdline())]


def test_a_worker_says_what_an_engine_here_says(engine: ServedEngine) -> None:
    here, (image,) = load(), images(1)
    question = "what is left of the dog?"
    alone = here.compare(image, question, CONFIG)
    compared = engine.call(asked("compare", question, image, config=CONFIG))
    streamed = list(engine.stream(asked("stream", question, image, config=CONFIG)))[-1].comparison
    for told in (compared, streamed):
        assert isinstance(told, Comparison)
        assert (told.crop.text, told.baseline.text, told.region) == (alone.crop.text, alone.baseline.text, alone.region)
        assert told.crop.trace.alive_counts.tolist() == alone.crop.trace.alive_counts.tolist()
    specs = (RunSpec("one", CONFIG), RunSpec("two", CropConfig(method="random", budget=CONFIG.budget)))
    here_told = list(here.run_many(image, "what?", specs))
    there_told = list(engine.stream(asked("run_many", "what?", image, specs=specs)))
    assert [each.text for each in there_told] == [each.text for each in here_told]
    assert engine.call(asked("localize", "what?", image)) == here.localize(image, "what?")
    assert engine.keeps_history == here.keeps_history
    assert engine.reads_several == here.reads_several


def test_a_stream_comes_event_by_event_and_closing_it_frees_the_worker(engine: ServedEngine) -> None:
    (image,) = images(1)
    stream = engine.stream(asked("stream", "what?", image, config=CropConfig(budget=CONFIG.budget, repeats=10)))
    assert [next(stream).stage for _ in range(2)] == ["localize", "baseline"]
    stream.close()
    assert engine.call(asked("answer", "what?", image, config=CONFIG)).tokens


def test_what_a_worker_refuses_is_one_sentence(engine: ServedEngine) -> None:
    (image,) = images(1)
    far = CropConfig(budget=CONFIG.budget, localizer="drawn")
    for work in (
        lambda: engine.call(asked("compare", "what?", image, config=far)),
        lambda: list(engine.stream(asked("stream", "what?", image, config=far))),
        lambda: list(engine.stream(asked("run_many", "what?", image, specs=(RunSpec("one", far),)))),
    ):
        with pytest.raises(WorkerError, match=r"^The region is to be drawn by hand, but no box was given; .*\.$"):
            work()


def test_a_worker_is_killed_under_load_and_nobody_is_forgotten(engine: ServedEngine) -> None:
    """Every request is answered about its own image, or told in one sentence; the worker is replaced."""
    told: dict[int, Any] = {}

    def ask(number: int, image: Image.Image) -> None:
        try:
            if number % 2:
                told[number] = engine.call(asked("compare", f"what is {number}?", image, config=CONFIG))
            else:
                events = engine.stream(asked("stream", f"what is {number}?", image, config=CONFIG))
                told[number] = [*events][-1].comparison
        except ValueError as error:
            told[number] = str(error)

    threads = [threading.Thread(target=ask, args=each, daemon=True) for each in enumerate(images(8))]
    before = workers()
    assert len(before) == 2
    for thread in threads:
        thread.start()
    while not told:
        time.sleep(0.01)
    os.kill(before[0], signal.SIGKILL)
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(told) == list(range(8))
    for number, each in told.items():
        if isinstance(each, str):
            assert each.startswith("The worker of this request was lost") and each.endswith(".")
        else:
            assert each.question == f"what is {number}?" and each.crop.trace.image_size == (200 + number, 160)
    assert sum(isinstance(each, Comparison) for each in told.values()) >= 6
    end = time.monotonic() + PATIENCE
    while len(set(workers()) - {before[0]}) < 2:
        assert time.monotonic() < end, "the dead worker was not replaced"
        time.sleep(0.1)


class Handle:
    """A deployment whose first tries die."""

    class Response(list):
        def result(self) -> Any:
            (only,) = self
            return self._checked(only)

        def __iter__(self) -> Iterator[Any]:
            return map(self._checked, super().__iter__())

        @staticmethod
        def _checked(item: Any) -> Any:
            if isinstance(item, Exception):
                raise item
            return item

        def cancel(self) -> None:
            pass

    def __init__(self, *answers: list[Any]) -> None:
        self.answers = [self.Response(each) for each in answers]
        self.call = self.stream = self

    def options(self, stream: bool) -> Handle:
        return self

    @property
    def keeps_history(self) -> Any:
        return Handle([True])

    short_answer_request = reads_several = keeps_history

    def remote(self, *_: Any) -> Any:
        return self.answers.pop(0)


def test_a_second_death_is_told_and_what_was_told_is_not_told_again() -> None:
    from ray.exceptions import ActorDiedError

    died, event = ActorDiedError(), StreamEvent("localize")
    assert ServedEngine(Handle([died], ["answer"])).call(asked("answer")) == "answer"
    many = ServedEngine(Handle(["a", "b", died], ["a", "b", "c"])).stream(asked("run_many"))
    assert list(many) == ["a", "b", "c"]
    assert list(ServedEngine(Handle([event, died], [event, event])).stream(asked("stream"))) == [event] * 3
    for lost in (
        lambda engine: engine.call(asked("answer")),
        lambda engine: list(engine.stream(asked("run_many"))),
    ):
        with pytest.raises(WorkerError, match=r"^The worker .* was lost twice; please try again\.$"):
            lost(ServedEngine(Handle([died], [died])))
