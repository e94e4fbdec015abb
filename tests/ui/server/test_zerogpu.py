"""ZeroGPU: the app's handlers under a stand-in that forks as it does, and what goes in and out of a fork."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from crop_core.engine.engine import CropEngine
from crop_core.io.images import open_image
from crop_core.records.config import Budget, CropConfig
from crop_core.records.results import RunSpec
from tests.support import ROOT
from tests.support.fake_records import request
from tests.support.panel import shown_status
from ui.server import zerogpu
from ui.server.space import on_zero
from ui.server.zerogpu import ZeroEngine, ZeroError, duration, load_engine
from ui.views.examples import load_examples

IMAGE = Image.new("RGB", (40, 30))
BUNDLED = all(
    (ROOT / "assets" / "models" / name / "config.json").is_file() for name in ("crop-tiny", "crop-tiny-locator")
)


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What the handlers gave in a process under the stand-in."""
    environment = {**os.environ, "SPACES_ZERO_GPU": "true", "OMP_NUM_THREADS": "1"}
    script = str(ROOT / "tests" / "support" / "zerogpu" / "handlers.py")
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(not BUNDLED, reason="the bundled models are missing")
def test_the_handlers_answer_as_without_it(told: dict[str, Any]) -> None:
    engine = CropEngine.from_pretrained(dtype="float32", device="cpu")
    example = load_examples(ROOT / "assets" / "examples")[0]
    config = CropConfig(budget=Budget(mean_tokens=64))
    plain = engine.compare(open_image(example.image), example.question, config).to_json()
    asked = told["asked"]["result"]
    for field in ("question", "model", "dtype", "method", "budget", "tokens", "same"):
        assert asked[field] == plain[field]
    assert asked["region"]["grid"] == plain["region"]["grid"] == told["localize"]["grid"]
    for run in ("baseline", "crop"):
        assert len(asked[run]["cost"]["runs"]) == 5 and asked[run]["cost"]["peak_bytes"] > 0
        assert asked[run]["answer"] == plain[run]["answer"]
    assert told["answer"]["answer"] == plain["crop"]["answer"]
    assert [row[:2] for row in told["methods"]["table"]["data"][:2]] == [
        ["Baseline", plain["baseline"]["answer"]],
        ["CROP", plain["crop"]["answer"]],
    ]
    assert shown_status(told["methods"]["status"]) == "Done: 2 runs."


@pytest.mark.skipif(not BUNDLED, reason="the bundled models are missing")
def test_a_refusal_keeps_its_sentence_on_the_way_out(told: dict[str, Any]) -> None:
    assert "A budget of 0.576 visual tokens" in told["refused"]["message"]
    assert told["refused"]["result"] is None


@pytest.mark.skipif(not BUNDLED, reason="the bundled models are missing")
def test_every_call_asks_for_its_own_time(told: dict[str, Any]) -> None:
    assert [entry for entry, _ in told["durations"]] == [
        "stream", "stream", "measure", "stream", "run_many", "localize", "answer", "measure",
    ]  # fmt: skip
    assert all(zerogpu.MIN_SECONDS <= seconds <= zerogpu.MAX_SECONDS for _, seconds in told["durations"])


def test_the_time_grows_with_the_work() -> None:
    # 10 s to move the weights; a run is 0.5 s an image and 0.05 s for each of 32 tokens: 2.1 s
    specs = tuple(RunSpec(str(k), CropConfig()) for k in range(4))
    two = CropConfig(repeats=2)
    for asked, seconds in (
        (request("localize", "?", IMAGE), 15),  # the least
        (request("answer", "?", IMAGE, config=two), round(10 + 4 * 2.1)),
        (request("stream", "?", IMAGE), round(10 + 5 * 2.1)),
        (request("stream", "?", IMAGE, IMAGE, IMAGE), round(10 + 5 * 3.1)),
        (request("measure", "?", IMAGE, config=two), round(10 + 5 * 2.1)),
        (request("measure", "?", IMAGE), round(10 + 13 * 2.1)),
        (request("compare", "?", IMAGE, config=two), round(10 + 9 * 2.1)),
        (request("run_many", "?", IMAGE, specs=specs), round(10 + 6 * 2.1)),
        (request("run_many", "?", IMAGE, specs=specs * 16), 120),  # the most
        (request("answer", "?", IMAGE, config=replace(two, max_new_tokens=62)), round(10 + 4 * 3.6)),
    ):
        assert duration(asked, 32) == seconds


class Refusing:
    """An engine without a model."""

    keeps_history = False
    reads_several = False
    short_answer_request = ""
    adapter = SimpleNamespace(max_new_tokens=8)

    def warm_up(self) -> None:
        pass

    def call(self, request: Any) -> str:
        raise ValueError("There is no localizer.")

    def stream(self, request: Any) -> Iterator[str]:
        yield "first"
        raise ValueError("It took too long.")


def straight(task: Any, duration: Any) -> Any:
    """`spaces.GPU` where there is no ZeroGPU."""
    return task


def failing(error: Exception) -> Any:
    """A `spaces.GPU` that has no GPU to give."""

    def gpu(task: Any, duration: Any) -> Any:
        def called(*request: Any) -> Any:
            raise error

        return called

    return gpu


def test_refusals_come_out_as_errors_again() -> None:
    engine = ZeroEngine(Refusing(), straight)
    with pytest.raises(ZeroError, match=r"^There is no localizer\.$"):
        engine.call(request("localize"))
    moments = engine.stream(request())
    assert next(moments) == "first"
    with pytest.raises(ZeroError, match=r"^It took too long\.$"):
        next(moments)


def test_a_quota_is_told_without_markup() -> None:
    error = gr.Error("You have exceeded your quota. <a href='x'>Log in</a> for more", title="ZeroGPU quota exceeded")
    engine = ZeroEngine(Refusing(), failing(error))
    with pytest.raises(ZeroError, match=r"^You have exceeded your quota\. Log in for more$"):
        engine.call(request("localize"))
    with pytest.raises(ZeroError, match="quota"):
        list(engine.stream(request()))


def test_a_gpu_that_is_taken_back_is_told() -> None:
    engine = ZeroEngine(Refusing(), failing(gr.Error(zerogpu.ABORTED, title=zerogpu.WORKER)))
    with pytest.raises(ZeroError, match=r"^The GPU's time was over before the answer was complete; .*\.$"):
        engine.call(request("localize"))


def test_a_broken_call_is_no_refusal() -> None:
    engine = ZeroEngine(Refusing(), failing(gr.Error("KeyError", title=zerogpu.WORKER)))
    with pytest.raises(RuntimeError, match="KeyError"):
        engine.call(request("localize"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quantize": "4bit"}, "CROP_QUANTIZE cannot be used on ZeroGPU"),
        ({"compiled": True}, "CROP_COMPILED cannot be used on ZeroGPU"),
        ({"device": "cpu"}, "CROP_DEVICE is 'cpu', and on ZeroGPU must be cuda"),
    ],
)
def test_what_cannot_be_there_is_one_sentence(
    options: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    with pytest.raises(ZeroError, match=f"^{re.escape(said)}.*\\.$"):
        load_engine(options)


def test_elsewhere_nothing_is_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    monkeypatch.setattr(CropEngine, "from_pretrained", lambda **options: options)
    assert load_engine({"model": "a"}) == {"model": "a"}
    assert [on_zero({"SPACES_ZERO_GPU": value}) for value in ("1", "true", "T", "", "0")] == [True] * 3 + [False] * 2


def test_the_requirements_admit_what_zerogpu_has() -> None:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = {one.name: one for one in (Requirement(line) for line in lines if line and line[0] != "#")}
    for version in ("2.8.0", "2.9.1", "2.10.0", "2.11.0"):  # of August 2026
        assert wanted["torch"].specifier.contains(version)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^requires-python = "(.*)"', project, re.MULTILINE)
    assert found
    assert all(SpecifierSet(found[1]).contains(version) for version in ("3.10.13", "3.12.12"))
