"""What breaks an engine on purpose, for the tests of `crop check`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers.processors import TemplateProcessing

from crop_core.engine import run
from crop_core.models.compressed_inputs import compress_inputs
from crop_core.models.text_adapter import TextAdapter
from crop_core.prune import LayerPruning, hooks, schedule
from crop_core.prune.token_subset import PromptBatch
from tests.support import checkpoints

Sabotage = Callable[[pytest.MonkeyPatch], None]


def cut_one_layer_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hook of a layer runs on the one behind it; the record stays as planned."""
    hook = LayerPruning._hook

    def late(self: LayerPruning, number: int) -> Any:
        begins, works = hook(self, 0), hook(self, number - 1)
        if number == 0:
            return begins
        return works if number > 1 else lambda module, args, kwargs: (args, kwargs)

    monkeypatch.setattr(LayerPruning, "_hook", late)


def keep_one_token_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first visual token that a cut drops stays in the model; the record stays as planned."""
    keeping = PromptBatch.keeping

    def more(self: PromptBatch, kept: list[torch.Tensor]) -> Any:
        pairs = zip(kept, self.total, strict=True)
        gone = [[number for number in range(total) if number not in own.tolist()][:1] for own, total in pairs]
        return keeping(self, [torch.tensor(sorted([*own.tolist(), *one])) for own, one in zip(kept, gone, strict=True)])

    monkeypatch.setattr(PromptBatch, "keeping", more)


def plan_one_token_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cut is planned with one token more than the budget leaves."""
    cuts = schedule.cuts
    monkeypatch.setattr(schedule, "cuts", lambda *given: tuple((layer, count + 1) for layer, count in cuts(*given)))


def shift_positions_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokens that a cut keeps get each other's positions."""
    narrow = hooks.narrow_rope
    monkeypatch.setattr(hooks, "narrow_rope", lambda *given: tuple(part.roll(1, -2) for part in narrow(*given)))


def shift_positions_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The visual tokens of a shortened prompt are one position late."""

    def shifted(*given: Any) -> Any:
        inputs = compress_inputs(*given)
        return replace(inputs, position_ids=inputs.position_ids + inputs.visual.long())

    monkeypatch.setattr(run, "compress_inputs", shifted)


def renumber(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokens of a shortened prompt are numbered anew."""

    def renumbered(*given: Any) -> Any:
        inputs = compress_inputs(*given)
        return replace(inputs, position_ids=torch.arange(inputs.position_ids.shape[-1])[None])

    monkeypatch.setattr(run, "compress_inputs", renumbered)


def without_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A template's BOS no longer keeps the tokenizer from adding its own."""
    monkeypatch.setattr(TextAdapter, "_specials", lambda self, prompt: {})


def begin_twice(folder: Path | str) -> None:
    """A checkpoint whose template writes BOS, and whose tokenizer adds it to every text."""
    tokenizer = checkpoints.tokenizer()
    begin = (tokenizer.bos_token, tokenizer.bos_token_id)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=f"{begin[0]} $A", special_tokens=[begin])
    tokenizer.save_pretrained(folder)
    (Path(folder) / "chat_template.jinja").write_text(begin[0] + checkpoints.TEMPLATE, encoding="utf-8")
