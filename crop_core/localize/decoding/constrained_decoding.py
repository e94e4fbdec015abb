"""Four numbers out of a model in four forward passes: the text around them is fed, not decoded, and where numbers have
several digits, the pass that feeds the text before one also gives the probability of every number it could be.

Such a pass holds the tree of all their beginnings behind the text, each token at the position that it would have there,
under a mask that shows it the text and the tokens before it in its own number alone. Beginnings of numbers that were
not chosen stay in the KV cache, hidden from all that follows. OURS; the mask is that of tree verification in SpecInfer
(Miao et al., arXiv 2305.09781).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from crop_core.localize.decoding.answer_tokens import AnswerTokenization
from crop_core.localize.decoding.number_trie import NumberTrie, Tokens
from crop_core.models.adapter import Adapter, PreparedInputs
from crop_core.records.region import GRID


class DecodingStep(NamedTuple):
    """One forward pass: new tokens, columns of the KV cache with them (hidden ones too), and rows of logits."""

    queries: int
    keys: int
    rows: int


class ConstrainedDecoder:
    """One answer to one prompt, fed piece by piece. steps: the forward passes so far."""

    def __init__(self, adapter: Adapter, inputs: PreparedInputs, spelling: AnswerTokenization) -> None:
        self.adapter, self.inputs, self.spelling = adapter, inputs, spelling
        self.steps: list[DecodingStep] = []
        self._cache: Any = None
        self._shown = torch.ones(0, dtype=torch.bool, device=inputs.input_ids.device)  # of the cache's columns
        count = torch.arange(inputs.input_ids.shape[1], device=inputs.input_ids.device)[None]
        self._known = count if inputs.positions is None else inputs.positions  # (1, L) or (4, 1, L), of the next tokens
        self._last = self._known[..., -1:]  # of the last token that is not a candidate

    def logits(self) -> torch.Tensor:
        """(4, 8) float64: log-probabilities of the grid cells, along the best ones, each the sum of its numbers'; minus
        infinity for those below the axis' first one.
        """
        rows: list[torch.Tensor] = []
        new = [*self.inputs.input_ids[0].tolist(), *self.spelling.opening]
        for trie, told, behind in zip(self.spelling.numbers, self.spelling.cells, self.spelling.behind, strict=True):
            scores = self._scores(new, trie, behind)  # (M,) of all numbers
            cells = torch.tensor(told)
            row = torch.stack([scores[cells == cell].logsumexp(0) for cell in range(GRID)])
            if len(rows) >= 2:
                row[: int(rows[len(rows) - 2].argmax())] = -torch.inf
            rows.append(row)
            best = int(scores.where(cells == row.argmax(), -torch.inf).argmax())
            new = [*self._chosen(trie, best), *behind]
        return torch.stack(rows)

    def _scores(self, new: list[int], trie: NumberTrie, behind: Tokens) -> torch.Tensor:
        """(M,) float64 log-probabilities of a trie's numbers behind the `new` tokens, which they are fed with."""
        tokens = sorted({number[-1] for number in trie.numbers} | set(trie.tokens) | set(behind[:1]))
        table = self._forward(new, trie).float().log_softmax(-1)[:, tokens].double().cpu().numpy()  # (1 + T, C)
        columns = {token: column for column, token in enumerate(tokens)}
        return torch.from_numpy(trie.scores(table, columns, behind[0] if behind else -1))

    def _chosen(self, trie: NumberTrie, number: int) -> Tokens:
        """The tokens of a number that are still to be fed; those that are in the cache are shown from now on."""
        path = trie.paths[number]
        start = len(self._shown) - len(trie.tokens) - 1
        self._shown[[start + row for row in path]] = True
        self._last = self._last + len(path)
        return trie.numbers[number][len(path) :]

    def _forward(self, new: list[int], trie: NumberTrie) -> torch.Tensor:
        """(1 + T, V) logits behind the last of the `new` tokens, and behind each of the trie's T nodes."""
        given: dict[str, Any] = {} if self.steps else self._first(len(new) + len(trie.tokens))
        positions = self._positions(len(new), trie)
        if self.inputs.positions is not None or not self.spelling.lone:
            given["position_ids"] = positions
        if not self.spelling.lone:
            given["attention_mask"] = self._mask(len(new), trie)
        out = self.adapter.model(
            input_ids=torch.tensor([[*new, *trie.tokens]], device=self._shown.device),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1 + len(trie.tokens),
            **given,
        )
        self._cache = out.past_key_values
        fresh = [True] * len(new) + [False] * len(trie.tokens)
        self._shown = torch.cat([self._shown, self._shown.new_tensor(fresh)])
        self.steps.append(DecodingStep(len(fresh), len(self._shown), 1 + len(trie.tokens)))
        return out.logits[0]

    def _first(self, size: int) -> dict[str, Any]:
        """What the first pass of `size` tokens is given besides: the image, and the kinds of tokens, of which those
        behind the prompt are the model's own.
        """
        own, kind = size - self.inputs.input_ids.shape[1], self.adapter.written_type
        kinds = {name: F.pad(each, (0, own), value=kind) for name, each in self.inputs.tokens.items()}
        return {**kinds, "mm_encoder_outputs": {"image": self.adapter.encode(self.inputs)}}

    def _positions(self, new: int, trie: NumberTrie) -> torch.Tensor:
        """(..., 1, new + T): of the prompt as they are known, of later text counting on, of nodes by their depth."""
        after = torch.arange(1, new - self._known.shape[-1] + 1, device=self._shown.device)
        text = torch.cat([self._known, self._last + after], -1)
        self._known, self._last = self._known[..., :0], text[..., -1:]
        depths = torch.tensor(trie.depths, dtype=torch.long, device=text.device)
        return torch.cat([text, self._last + depths], -1)

    def _mask(self, new: int, trie: NumberTrie) -> torch.Tensor:
        """(1, 1, Q, K) additive: what is shown, text causally, and of nodes those on the way."""
        device, size, past = self._shown.device, new + len(trie.tokens), len(self._shown)
        own = torch.ones(size, size, dtype=torch.bool, device=device).tril()
        own[new:, new:] = torch.from_numpy(trie.ancestry()).to(device)
        seen = torch.cat([self._shown.expand(size, past), own], 1)[None, None]
        mask = torch.zeros(seen.shape, dtype=self.adapter.dtype, device=device)
        return mask.masked_fill(~seen, torch.finfo(mask.dtype).min)
