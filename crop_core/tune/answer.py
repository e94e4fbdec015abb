"""A region's answer as tokens, and what a model thinks of each of them: the one forward pass of training and reading.

The prompt is the adapter's own, so training sees exactly what a localizer sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from crop_core.localize.formats import Format
from crop_core.models import Adapter, ModelError, PreparedInputs
from crop_core.region import GRID


@dataclass(frozen=True)
class Spelling:
    """How a tokenizer spells the answers of a format: all in T tokens that differ in their four numbers alone.

    ids: the T tokens of one answer. places: where its numbers stand. numbers: (4, 8), the token of each number there.
    """

    ids: tuple[int, ...]
    places: tuple[int, ...]
    numbers: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, tokenizer: Any, form: Format, name: str) -> Spelling:
        """ModelError for a tokenizer that does not give every number a token of its own."""
        same = [_encode(tokenizer, form, [number] * 4) for number in range(GRID)]
        places = [place for place, tokens in enumerate(zip(*same, strict=False)) if len(set(tokens)) == GRID]
        spelling = cls(same[0], tuple(places), tuple(tuple(ids[place] for ids in same) for place in places))
        mixed = [[0, 1, 2, 3], [4, 5, 6, 7], [3, 0, 7, 4]]
        if len(places) != 4 or any(spelling.say(each) != list(_encode(tokenizer, form, each)) for each in mixed):
            raise ModelError(
                f"{name} cannot learn to answer {form.say(mixed[0])}: its tokenizer has no token of their own for the "
                f"numbers 0 to {GRID - 1} there; choose another model."
            )
        return spelling

    def say(self, numbers: Sequence[int]) -> list[int]:
        """The T tokens of the answer that holds these four numbers."""
        ids = list(self.ids)
        for place, tokens, number in zip(self.places, self.numbers, numbers, strict=True):
            ids[place] = tokens[number]
        return ids


def _encode(tokenizer: Any, form: Format, numbers: Sequence[int]) -> tuple[int, ...]:
    return tuple(tokenizer.encode(form.say(numbers), add_special_tokens=False))


def logits(adapter: Adapter, inputs: PreparedInputs, answer: Sequence[int]) -> torch.Tensor:
    """(T, V): before each of the T tokens of an answer, what the model thinks of every token.

    The image is encoded without gradients. The answer's positions count on from the prompt's, as generation does.
    """
    count = len(answer)
    ids = torch.tensor([list(answer)], device=inputs.input_ids.device)
    kwargs: dict[str, Any] = {
        name: F.pad(each, (0, count), value=adapter.written_type) for name, each in inputs.tokens.items()
    }
    if inputs.positions is not None:
        later = inputs.positions[..., -1:] + 1 + torch.arange(count, device=ids.device)
        kwargs["position_ids"] = torch.cat([inputs.positions, later], -1)
    out = adapter.model(
        input_ids=torch.cat([inputs.input_ids, ids], 1),
        mm_encoder_outputs={"image": adapter.encode(inputs)},
        use_cache=False,
        logits_to_keep=count + 1,
        **kwargs,
    )
    return out.logits[0, :-1]
