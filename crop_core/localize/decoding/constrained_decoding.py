"""Constrained decoding of four numbers in four forward passes: the text around them is fed, not decoded.

For numbers of several digits, a pass also scores every possible number: it appends the trie of their prefixes to the
text, each token at the position it would have, with a tree attention mask. Prefixes that were not chosen stay in the KV
cache, masked from then on. OURS; the mask is that of tree verification in SpecInfer (Miao et al., arXiv 2305.09781).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from crop_core.localize.decoding.answer_tokens import AnswerTokenization, NumberTrie, Tokens
from crop_core.models.adapter import Adapter, PreparedInputs
from crop_core.models.finite import check_values
from crop_core.records.region import GRID


class DecodingStep(NamedTuple):
    """Size of one forward pass: new tokens, KV cache columns including them (masked ones too), and rows of logits."""

    queries: int
    keys: int
    rows: int


class ConstrainedDecoder:
    """Decodes one answer to one prompt. steps: the forward passes so far."""

    def __init__(self, adapter: Adapter, inputs: PreparedInputs, tokenization: AnswerTokenization) -> None:
        self.adapter, self.inputs, self.tokenization = adapter, inputs, tokenization
        self.steps: list[DecodingStep] = []
        self._cache: Any = None
        self._shown = torch.ones(0, dtype=torch.bool, device=inputs.input_ids.device)  # unmasked columns of the cache
        count = torch.arange(inputs.input_ids.shape[1], device=inputs.input_ids.device)[None]
        self._next = count if inputs.positions is None else inputs.positions  # (1, L) or (4, 1, L), of the next tokens
        self._last = self._next[..., -1:]  # of the last token outside the trie

    def logits(self) -> torch.Tensor:
        """(4, 8) float64: log-probabilities of the grid cells, decoded greedily, each the sum over its numbers; minus
        infinity for last cells before the axis' first one.
        """
        rows: list[torch.Tensor] = []
        new = [*self.inputs.input_ids[0].tolist(), *self.tokenization.opening]
        for trie, number_cells, behind in zip(
            self.tokenization.numbers, self.tokenization.cells, self.tokenization.behind, strict=True
        ):
            scores = self._scores(new, trie, behind)  # (M,) of all numbers
            cells = torch.tensor(number_cells)
            row = torch.stack([scores[cells == cell].logsumexp(0) for cell in range(GRID)])
            if len(rows) >= 2:
                row[: int(rows[len(rows) - 2].argmax())] = -torch.inf
            rows.append(row)
            best = int(scores.where(cells == row.argmax(), -torch.inf).argmax())
            new = [*self._chosen(trie, best), *behind]
        return torch.stack(rows)

    def _scores(self, new: list[int], trie: NumberTrie, behind: Tokens) -> torch.Tensor:
        """(M,) float64 log-probabilities of a trie's numbers after the `new` tokens."""
        tokens = sorted({number[-1] for number in trie.numbers} | set(trie.tokens) | set(behind[:1]))
        table = self._forward(new, trie).float().log_softmax(-1)[:, tokens].double().cpu().numpy()  # (1 + T, C)
        columns = {token: column for column, token in enumerate(tokens)}
        return torch.from_numpy(trie.scores(table, columns, behind[0] if behind else -1))

    def _chosen(self, trie: NumberTrie, number: int) -> Tokens:
        """Unmask the chosen number's tokens in the cache; returns those that are still to be fed."""
        path = trie.paths[number]
        start = len(self._shown) - len(trie.tokens) - 1
        self._shown[[start + row for row in path]] = True
        self._last = self._last + len(path)
        return trie.numbers[number][len(path) :]

    def _forward(self, new: list[int], trie: NumberTrie) -> torch.Tensor:
        """(1 + T, V) logits after the last of the `new` tokens, and after each of the trie's T nodes."""
        kwargs: dict[str, Any] = {} if self.steps else self._first(len(new) + len(trie.tokens))
        positions = self._positions(len(new), trie)
        if self.inputs.positions is not None or not self.tokenization.single_token:
            kwargs["position_ids"] = positions
        if not self.tokenization.single_token:
            kwargs["attention_mask"] = self._mask(len(new), trie)
        out = self.adapter.model(
            input_ids=torch.tensor([[*new, *trie.tokens]], device=self._shown.device),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1 + len(trie.tokens),
            **kwargs,
        )
        check_values(self.adapter, out.logits, lambda: self.inputs.kwargs(self.adapter.encode(self.inputs)))
        self._cache = out.past_key_values
        fresh = [True] * len(new) + [False] * len(trie.tokens)
        self._shown = torch.cat([self._shown, self._shown.new_tensor(fresh)])
        self.steps.append(DecodingStep(len(fresh), len(self._shown), 1 + len(trie.tokens)))
        return out.logits[0]

    def _first(self, size: int) -> dict[str, Any]:
        """Further arguments of the first pass of `size` tokens: image features, and token types, where tokens after the
        prompt count as generated.
        """
        own, kind = size - self.inputs.input_ids.shape[1], self.adapter.written_type
        kinds = {name: F.pad(each, (0, own), value=kind) for name, each in self.inputs.tokens.items()}
        return {**kinds, "mm_encoder_outputs": {"image": self.adapter.encode(self.inputs)}}

    def _positions(self, new: int, trie: NumberTrie) -> torch.Tensor:
        """(..., 1, new + T) positions: the prompt's own, consecutive ones for later text, by depth for nodes."""
        after = torch.arange(1, new - self._next.shape[-1] + 1, device=self._shown.device)
        text = torch.cat([self._next, self._last + after], -1)
        self._next, self._last = self._next[..., :0], text[..., -1:]
        depths = torch.tensor(trie.depths, dtype=torch.long, device=text.device)
        return torch.cat([text, self._last + depths], -1)

    def _mask(self, new: int, trie: NumberTrie) -> torch.Tensor:
        """(1, 1, Q, K) additive mask: unmasked cache, causal text, and the ancestors of each node."""
        device, size, past = self._shown.device, new + len(trie.tokens), len(self._shown)
        own = torch.ones(size, size, dtype=torch.bool, device=device).tril()
        own[new:, new:] = torch.from_numpy(trie.ancestry()).to(device)
        seen = torch.cat([self._shown.expand(size, past), own], 1)[None, None]
        mask = torch.zeros(seen.shape, dtype=self.adapter.dtype, device=device)
        return mask.masked_fill(~seen, torch.finfo(mask.dtype).min)
