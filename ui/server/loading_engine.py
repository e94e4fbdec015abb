"""Engine that is asked before it is loaded: its page opens at once, and whoever asks meanwhile waits for the model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

from crop_core.records.request import Engine, EngineRequest, EngineWrapper, QueueStatus, R, ResultStream

STATUS_EVERY = 1.0  # seconds


class BundledTraits:
    """What a page has to know of the bundled model, before it is loaded."""

    keeps_history = False
    reads_several = False
    short_answer_request = ""


class LoadingEngine(EngineWrapper):
    """Engine that `load` makes. Until then a call waits, and a stream tells of no request before it (`QueueStatus`)."""

    def __init__(self, load: Callable[[], Engine]) -> None:
        super().__init__(cast(Engine, BundledTraits()))  # which is asked for nothing else
        self._load = load
        self._loaded = threading.Event()

    @property
    def is_loaded(self) -> bool:
        """Whether requests are run at once."""
        return self._loaded.is_set()

    def load(self) -> None:
        """Load it, unless it is loaded; raises what `load` raises."""
        if not self.is_loaded:
            self.engine = self._load()
            self._loaded.set()

    def call(self, request: EngineRequest[R], /) -> R:
        """As the engine's, once it is loaded."""
        self._loaded.wait()
        return super().call(request)

    def stream(self, request: EngineRequest[R], /) -> ResultStream[R]:
        """As the engine's, once it is loaded."""
        while not self._loaded.wait(STATUS_EVERY):
            yield QueueStatus(0)
        yield from super().stream(request)
