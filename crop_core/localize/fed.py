"""Four numbers out of a model in four forward passes: the text around them is fed, not decoded, and where numbers take
several tokens, all candidates for one are scored in the pass that feeds the text before it.

Such a pass holds the candidates side by side, each at the positions that follow the text, under a mask that shows each
of them the text and itself alone. Tokens of candidates that were not chosen stay in the KV cache, hidden from all that
follows. OURS; the packing is the tree verification of SpecInfer (Miao et al., arXiv 2305.09781).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from crop_core.localize.spelling import Spelling, Tokens
from crop_core.models.protocol import Adapter, PreparedInputs

NUMBERS = 4


class Step(NamedTuple):
    """One forward pass: new tokens, columns of the KV cache with them (hidden ones too), and rows of logits."""

    queries: int
    keys: int
    rows: int


class Feed:
    """One answer to one prompt, fed piece by piece. steps: the forward passes so far."""

    def __init__(self, adapter: Adapter, inputs: PreparedInputs, spelling: Spelling) -> None:
        self.adapter, self.inputs, self.spelling = adapter, inputs, spelling
        self.steps: list[Step] = []
        self._cache: Any = None
        self._shown = torch.ones(0, dtype=torch.bool, device=inputs.input_ids.device)  # of the cache's columns
        count = torch.arange(inputs.input_ids.shape[1], device=inputs.input_ids.device)[None]
        self._known = count if inputs.positions is None else inputs.positions  # (1, L) or (4, 1, L), of the next tokens
        self._last = self._known[..., -1:]  # of the last token that is not a candidate

    def logits(self) -> torch.Tensor:
        """(4, 8) float64: scores of the numbers, along the best ones; minus infinity for those below the axis' first
        one. Scores are the model's logits, or log-probabilities where numbers take several tokens.
        """
        rows: list[torch.Tensor] = []
        new = [*self.inputs.input_ids[0].tolist(), *self.spelling.opening]
        for index, numbers in enumerate(self.spelling.numbers):
            behind = self.spelling.behind[index]
            row = self._lone(new, numbers) if self.spelling.lone else self._packed(new, numbers, behind[0])
            if index >= 2:
                row[: int(rows[index - 2].argmax())] = -torch.inf
            rows.append(row)
            new = [*self._chosen(numbers, int(row.argmax())), *behind]
        return torch.stack(rows)

    def _lone(self, new: list[int], numbers: Sequence[Tokens]) -> torch.Tensor:
        """(8,) logits of numbers of one token each, behind the `new` tokens."""
        ids = torch.tensor([tokens[0] for tokens in numbers], device=self._shown.device)
        return self._forward(new, [])[0, ids].double()

    def _packed(self, new: list[int], numbers: Sequence[Tokens], end: int) -> torch.Tensor:
        """(8,) log-probabilities of numbers and of the token `end` behind them, which tells 12 from 125."""
        table = self._forward(new, numbers).double().log_softmax(-1)  # (1 + T, V)
        scores, first = [], 1
        for tokens in numbers:
            rows = [0, *range(first, first + len(tokens))]
            scores.append(table[rows, [*tokens, end]].sum())
            first += len(tokens)
        return torch.stack(scores)

    def _chosen(self, numbers: Sequence[Tokens], best: int) -> Tokens:
        """The tokens of a number that are still to be fed: all of them, or none where its columns need but be shown."""
        if self.spelling.lone:
            return numbers[best]
        sizes = [len(tokens) for tokens in numbers]
        start = len(self._shown) - sum(sizes[best:])
        self._shown[start : start + sizes[best]] = True
        self._last = self._last + sizes[best]
        return ()

    def _forward(self, new: list[int], candidates: Sequence[Tokens]) -> torch.Tensor:
        """(1 + T, V) logits behind the last of the `new` tokens, and behind each of the candidates' T tokens."""
        owner = [each for each, tokens in enumerate(candidates) for _ in tokens]
        packed = [token for tokens in candidates for token in tokens]
        given: dict[str, Any] = {} if self.steps else self._first(len(new) + len(packed))
        positions, mask = self._positions(len(new), candidates), self._mask(len(new), owner)
        if self.inputs.positions is not None or not self.spelling.lone:
            given["position_ids"] = positions
        if not self.spelling.lone:
            given["attention_mask"] = mask
        out = self.adapter.model(
            input_ids=torch.tensor([[*new, *packed]], device=self._shown.device),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1 + len(packed),
            **given,
        )
        self._cache = out.past_key_values
        self._shown = torch.cat([self._shown, self._shown.new_tensor([True] * len(new) + [False] * len(packed))])
        self.steps.append(Step(len(new) + len(packed), len(self._shown), 1 + len(packed)))
        return out.logits[0]

    def _first(self, size: int) -> dict[str, Any]:
        """What the first pass of `size` tokens is given besides: the image, and the kinds of tokens, of which those
        behind the prompt are the model's own.
        """
        own, kind = size - self.inputs.input_ids.shape[1], self.adapter.written_type
        kinds = {name: F.pad(each, (0, own), value=kind) for name, each in self.inputs.tokens.items()}
        return {**kinds, "mm_encoder_outputs": {"image": self.adapter.encode(self.inputs)}}

    def _positions(self, new: int, candidates: Sequence[Tokens]) -> torch.Tensor:
        """(..., 1, new + T): of the prompt as they are known, of later text counting on, of candidates side by side."""
        after = torch.arange(1, new - self._known.shape[-1] + 1, device=self._shown.device)
        text = torch.cat([self._known, self._last + after], -1)
        self._known, self._last = self._known[..., :0], text[..., -1:]
        depths = [depth for tokens in candidates for depth in range(1, len(tokens) + 1)]
        return torch.cat([text, self._last + torch.tensor(depths, dtype=torch.long, device=text.device)], -1)

    def _mask(self, new: int, owner: list[int]) -> torch.Tensor:
        """(1, 1, Q, K) additive: what is shown, text causally, and of candidates each its own tokens."""
        size, past = new + len(owner), len(self._shown)
        owners = torch.tensor([-1] * new + owner, device=self._shown.device)
        own = (owners[None] == -1) | (owners[None] == owners[:, None])
        seen = torch.cat([self._shown.expand(size, past), own.tril()], 1)
        lowest = torch.finfo(self.adapter.dtype).min
        return torch.zeros(seen.shape, dtype=self.adapter.dtype, device=seen.device).masked_fill(~seen, lowest)[
            None, None
        ]
