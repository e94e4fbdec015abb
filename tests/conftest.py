"""What holds for every test: no hub, no telemetry, few threads, and no deprecated calls into transformers."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # not what the process that started the workers has set below
os.environ.setdefault("OMP_NUM_THREADS", "2")
for name in [name for name in os.environ if name.startswith("CROP_") and name != "CROP_CHROMIUM"]:
    del os.environ[name]  # the settings of whoever runs the tests are not what is tested
os.environ["LOCALIZER_PROFILES"] = os.path.join(os.devnull, "profiles")  # nobody's own; tests name theirs

import pytest  # noqa: E402  the environment has to be set before anything imports torch or gradio

from tests.support.cache import SHARED  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    """One folder of checkpoints for the whole run: xdist's workers have it from the process that started them."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        os.environ[SHARED] = tempfile.mkdtemp(prefix="checkpoints-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ[SHARED], ignore_errors=True))


def pytest_collection_finish() -> None:
    """Garbage collection, which the engine asks for too, passes by what imports have made: a third of a second each."""
    gc.freeze()


class _Deprecations(logging.Handler):
    """transformers tells about deprecated arguments by its logger, where pytest's warning filters do not see them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "deprecat" in (message := record.getMessage()).lower():
            self.messages.append(message)


@pytest.fixture(autouse=True)
def no_deprecated_calls() -> Iterator[None]:
    """Fail a test during which transformers logged a deprecation."""
    handler = _Deprecations()
    logger = logging.getLogger("transformers")
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)
    assert not handler.messages
