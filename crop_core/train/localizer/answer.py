"""A region's answer as tokens, and what a model thinks of each of them in one forward pass: teacher forcing.

The prompt is the adapter's own and the answer is spelled as a GridLocalizer feeds it, so that training sees exactly
what a localizer sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from crop_core.localize.decoding.answer_formats import BRACKETS
from crop_core.models import Adapter, PreparedInputs


def spell(tokenizer: Any, grid: Sequence[int]) -> list[int]:
    """The T tokens of the answer that says these four cells."""
    return list(tokenizer.encode(BRACKETS.say(grid), add_special_tokens=False))


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
