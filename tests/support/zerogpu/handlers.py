"""Asks the app's handlers under the stand-in for `spaces`, in a process of its own; prints what came of it as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT)]

import spaces  # noqa: E402  the stand-in
import torch  # noqa: E402

from crop_core.records.config import PlcConfig  # noqa: E402
from ui.page.api import Endpoints  # noqa: E402
from ui.page.controls import rings_text  # noqa: E402
from ui.page.handlers import Handlers  # noqa: E402
from ui.page.sweeps import SweepHandlers  # noqa: E402
from ui.server.zerogpu import load_engine  # noqa: E402
from ui.views.examples import load_examples  # noqa: E402
from ui.views.history import History  # noqa: E402

torch.set_num_threads(1)
EXAMPLE = load_examples(ROOT / "assets" / "examples")[0]
PATH, QUESTION = str(EXAMPLE.image), EXAMPLE.question


def settings(budget: str = "64", mode: str = "predicted") -> list[Any]:
    """Values of the panel."""
    return ["crop", "custom", budget, rings_text(PlcConfig()), "", False, "", False, "", mode, 2, 2, 5, 5]


def comparison(handlers: Handlers, budget: str = "64") -> dict[str, Any]:
    """The last message and the finished comparison of a question, measured."""
    history, message = History(), ""
    for _, note, new, _ in handlers.ask(history, PATH, QUESTION, None, *settings(budget), ""):
        message, history = note, new if isinstance(new, History) else history
    for _ in handlers.measure_new(history):
        pass
    shown = history.shown
    return {"message": message, "result": None if shown is None else shown.result.to_json()}


def methods(many: SweepHandlers) -> dict[str, Any]:
    """The last moment of the methods' tab."""
    *_, (_, table, _, message, status) = many.methods(PATH, QUESTION, ["crop", "random"], *settings())
    return {"table": table, "message": message, "status": status}


def left(handlers: Handlers) -> None:
    """A question whose page is closed after its first moment."""
    moments = handlers.ask(History(), PATH, QUESTION, None, *settings(), "")
    next(moments)
    moments.close()


def main() -> None:
    """Every handler that reaches the engine."""
    engine = load_engine({"dtype": "float32"})
    handlers, endpoints = Handlers(engine, []), Endpoints(engine)
    left(handlers)
    report = {
        "asked": comparison(handlers),
        "refused": comparison(handlers, "0.1%"),
        "methods": methods(SweepHandlers(engine)),
        "localize": endpoints.localize(PATH, QUESTION),
        "answer": endpoints.ask(PATH, QUESTION, "crop", "64", ""),
        "durations": spaces.durations,
    }
    print(json.dumps(report))  # noqa: T201


if __name__ == "__main__":
    main()
