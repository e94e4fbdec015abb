from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from crop_core.engine.engine import CropEngine
from crop_core.engine.request_checks import Deadline, RequestTimeout
from crop_core.records.config import Budget, CropConfig
from crop_core.records.results import RunSpec
from tests.support import checkpoints


def test_it_counts_from_the_first_check_on() -> None:
    now = [100.0]
    deadline = Deadline(2, lambda: now[0])
    now[0] = 1000.0  # waited for the model
    deadline.check()
    now[0] = 1002.0
    deadline.check()
    now[0] = 1002.1
    with pytest.raises(RequestTimeout, match=r"^The question took longer than the 2 seconds .*\.$"):
        deadline.check()


def test_no_limit_never_ends() -> None:
    now = [0.0]
    deadline = Deadline(None, lambda: now[0])
    deadline.check()
    now[0] = 1e9
    deadline.check()


IMAGE = Image.effect_noise((80, 60), 90).convert("RGB")
ASKED = (IMAGE, "what is left of the dog?")
CONFIG = CropConfig(budget=Budget(mean_tokens=24), localizer="whole", max_new_tokens=4)
ENTRIES: dict[str, Callable[[CropEngine], object]] = {
    "answer": lambda engine: engine.answer(*ASKED, CONFIG),
    "compare": lambda engine: engine.compare(*ASKED, CONFIG),
    "stream": lambda engine: list(engine.stream(*ASKED, CONFIG)),
    "run_many": lambda engine: list(engine.run_many(*ASKED, [RunSpec("one", CONFIG)])),
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> CropEngine:
    folder: Path = tmp_path_factory.mktemp("model")
    return CropEngine.from_pretrained(checkpoints.save(folder / "model", "crop"), None, warm_up=False)


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_every_way_to_ask_ends_and_the_next_request_works(
    entry: Callable[[CropEngine], object], engine: CropEngine
) -> None:
    engine.time_limit = 1e-9
    with pytest.raises(RequestTimeout):
        entry(engine)
    engine.time_limit = 600
    assert entry(engine)


def test_warming_up_has_no_limit(engine: CropEngine) -> None:
    assert CropEngine(engine.adapter, time_limit=1e-9).time_limit == 1e-9
