"""Engine that checks its own model too, for an operator: the proofs and measurements of `crop check`.

A check has no time limit, and no other request runs beside it: it is queued like any other.
"""

from __future__ import annotations

from typing import Any, cast

from crop_core.engine.engine import CropEngine
from crop_core.evaluate.check.check import Check
from crop_core.records.check import check_scenes
from crop_core.records.request import EngineRequest, EngineWrapper, R, ResultStream


class CheckingEngine(EngineWrapper):
    """Engine with requests of the kind "check"; all others are the inner one's."""

    def __init__(self, engine: CropEngine) -> None:
        super().__init__(engine)
        self._inner = engine

    def stream(self, request: EngineRequest[R], /) -> ResultStream[R]:
        """As the engine's, or a CheckReport after every part."""
        if request.kind == "check":
            check = Check(self._inner, scenes=check_scenes(request.scenes))
            yield from cast(ResultStream[R], check.run())
        else:
            yield from super().stream(request)


def load_checking(**options: Any) -> CheckingEngine:
    """The engine with these arguments of `CropEngine.from_pretrained`."""
    return CheckingEngine(CropEngine.from_pretrained(**options))
