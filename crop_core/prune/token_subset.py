"""Columns, masks and rotary tables of the kept tokens of a prompt. Pure functions of tensors.

P is the prompt's length, K its kept slots, G the generated tokens, Q the tokens in this forward. Shapes are known on
the host: nothing here synchronizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F


@dataclass(frozen=True, eq=False)
class PromptBatch:
    """A batch of B prompts of P columns, analysed on the host once, before the model runs.

    visual, text: per sample its columns (M,) and (P - M,) long. behind: per sample the number of columns after its
    last visual one.
    """

    visual: list[torch.Tensor]
    text: list[torch.Tensor]
    length: int
    behind: list[int]

    @classmethod
    def of(cls, visual: torch.Tensor) -> PromptBatch:
        """From (B, P) bool, True on visual tokens; raises ValueError if a prompt has none."""
        mask, device = visual.cpu(), visual.device
        if not bool(mask.any(1).all()):
            raise ValueError("a prompt without visual tokens")
        own, text = ([row.nonzero()[:, 0].to(device) for row in rows] for rows in (mask, ~mask))
        return cls(own, text, mask.shape[1], mask.flip(1).int().argmax(1).tolist())

    @property
    def after(self) -> int:
        """Columns after the last visual one, the minimum of the batch."""
        return min(self.behind)

    @property
    def total(self) -> list[int]:
        """M of every sample."""
        return [len(columns) for columns in self.visual]

    def to(self, device: torch.device) -> PromptBatch:
        """Copy on another device; itself if it is there."""
        if self.visual[0].device == device:
            return self
        visual, text = ([each.to(device) for each in columns] for columns in (self.visual, self.text))
        return PromptBatch(visual, text, self.length, self.behind)

    def all(self) -> KeptTokens:
        """All tokens."""
        every = torch.arange(self.length, device=self.visual[0].device)
        return KeptTokens(every.expand(len(self.visual), -1), None, self.length)

    def keeping(self, kept: Sequence[torch.Tensor]) -> KeptTokens:
        """The text and, per sample, the visual tokens `kept` (K,), indices into its M; shorter samples are padded on
        the left.
        """
        columns = zip(self.text, self.visual, kept, strict=True)
        rows = [torch.cat([text, visual[own]]).sort().values for text, visual, own in columns]
        slots = max(map(len, rows))
        index = torch.stack([F.pad(row, (slots - len(row), 0)) for row in rows])  # (B, K)
        if all(len(row) == slots for row in rows):
            return KeptTokens(index, None, self.length)
        first = torch.tensor([slots - len(row) for row in rows])[:, None]
        return KeptTokens(index, (torch.arange(slots) >= first).to(index.device), self.length)


@dataclass(frozen=True, eq=False)
class KeptTokens:
    """The kept tokens of a batch of prompts, in prompt order.

    index: (B, K) long, columns of the prompt. valid: (B, K) bool, or None where all are: samples with fewer tokens
    are padded on the left with slots that nothing attends to. prompt: P.
    """

    index: torch.Tensor
    valid: torch.Tensor | None
    prompt: int

    def spread(self, values: torch.Tensor, missing: float) -> torch.Tensor:
        """(B, ..., K) values of the slots as (B, ..., P) values of the prompt's columns."""
        index = self.index if self.valid is None else self.index.masked_fill(~self.valid, self.prompt)
        index = index.view(len(index), *[1] * (values.dim() - 2), -1).expand_as(values)
        full = values.new_full((*values.shape[:-1], self.prompt + 1), missing)  # the last column takes the padding
        return full.scatter_(-1, index, values)[..., :-1]

    @property
    def slot_of_column(self) -> torch.Tensor:
        """(B, P) slot of every column of the prompt; 0 for those that are gone."""
        slots = torch.arange(self.index.shape[1], device=self.index.device).expand_as(self.index)
        return self.spread(slots, 0)

    def slots_of(self, later: KeptTokens) -> torch.Tensor:
        """(B, K') slots here of the tokens kept later; any slot for padding."""
        return self.slot_of_column.gather(1, later.index)

    def to(self, device: torch.device) -> KeptTokens:
        """Copy on another device; itself if it is there."""
        if self.index.device == device:
            return self
        return KeptTokens(self.index.to(device), None if self.valid is None else self.valid.to(device), self.prompt)


def narrow_rope(rope: tuple[torch.Tensor, torch.Tensor], kept: KeptTokens) -> tuple[torch.Tensor, ...]:
    """Rows of the prompt's cos and sin tables (1 or B, P, head_dim) of kept tokens: (B, K, head_dim). Positions do not
    change.
    """
    rows = kept.to(rope[0].device).index[..., None]
    return tuple(part.expand(rows.shape[0], -1, -1).gather(1, rows.expand(-1, -1, part.shape[-1])) for part in rope)


def narrow_mask(mask: torch.Tensor | None, kept: KeptTokens, queries: int, generated: int) -> torch.Tensor | None:
    """The attention mask of a forward over the kept tokens.

    mask: (1 or B, 1, Q, P + G) bool (True = may attend) or additive float, or None for plain causal. queries: rows of
    the result: K in the prefill (generated 0), else the Q new tokens, which are the last of the G. Returns (B, 1, rows,
    K + G), or None for plain causal.
    """
    if mask is None and kept.valid is None:
        return None
    batch, slots = kept.index.shape
    if mask is None:
        narrowed = _causal(queries, slots + generated, kept.index.device).expand(batch, 1, -1, -1)
    else:
        kept = kept.to(mask.device)
        narrowed = _gathered(mask.expand(batch, -1, -1, -1), kept, generated)
    return narrowed if kept.valid is None else _without_invalid(narrowed, kept.valid, generated)


def narrow_padding(mask: torch.Tensor | None, kept: KeptTokens, generated: int) -> torch.Tensor | None:
    """The padding mask of an attention that is causal by itself, such as FlashAttention.

    mask: (B, P + G) bool or integer (true = a token), or None without padding. Returns (B, K + G) bool, or None if
    every slot is a token.
    """
    if mask is None and kept.valid is None:
        return None
    kept = kept if mask is None else kept.to(mask.device)
    valid = torch.ones_like(kept.index, dtype=torch.bool) if kept.valid is None else kept.valid
    new = valid.new_ones(len(valid), generated)
    if mask is not None:
        valid, new = valid & mask.bool().gather(1, kept.index), mask[:, kept.prompt :].bool()
    return torch.cat([valid, new], dim=1)


def open_columns(mask: torch.Tensor | None, kept: KeptTokens) -> torch.Tensor | None:
    """(B, K) bool: kept slots that later tokens may attend to, None for all; mask: as in `narrow_mask`, of the prefill,
    whose last row attends to all but padding, or as in `narrow_padding`.
    """
    if mask is None or mask.dim() == 2:
        return narrow_padding(mask, kept, 0)
    kept = kept.to(mask.device)
    last = mask[:, 0, -1]  # (1 or B, P)
    seen = (last if last.dtype == torch.bool else last >= 0).expand(len(kept.index), -1).gather(1, kept.index)
    return seen if kept.valid is None else seen & kept.valid


def later_mask(mask: torch.Tensor | None, seen: torch.Tensor | None, queries: int, generated: int) -> Any:
    """The mask of a decode step on a cache with the same K slots and G new tokens in every layer.

    mask: the model's for that length, read for its kind only. seen: (B,
    K) bool or None for all. Returns (B, 1, Q, K + G) of the same kind.
    """
    if seen is None:
        return mask
    seen = seen if mask is None else seen.to(mask.device)
    keys = torch.cat([seen, seen.new_ones(len(seen), generated)], dim=1)  # (B, K + G)
    allowed = _causal(queries, keys.shape[1], keys.device) & keys[:, None, None, :]
    if mask is None or mask.dtype == torch.bool:
        return allowed
    return torch.zeros_like(allowed, dtype=mask.dtype).masked_fill(~allowed, torch.finfo(mask.dtype).min)


def later_padding(seen: torch.Tensor | None, generated: int) -> torch.Tensor | None:
    """`later_mask` as a padding mask: (B, K + G) bool, None for all."""
    return None if seen is None else torch.cat([seen, seen.new_ones(len(seen), generated)], dim=1)


def _causal(queries: int, keys: int, device: torch.device) -> torch.Tensor:
    column = torch.arange(keys, device=device)
    return (column <= column[keys - queries :, None])[None, None]


def _gathered(mask: torch.Tensor, kept: KeptTokens, generated: int) -> torch.Tensor:
    """(B, 1, Q, P + G) -> (B, 1, rows, K + G): in the prefill rows are gathered as well as columns."""
    if not generated:
        mask = mask.gather(2, kept.index[:, None, :, None].expand(-1, mask.shape[1], -1, mask.shape[-1]))
    new = torch.arange(kept.prompt, kept.prompt + generated, device=mask.device).expand(len(mask), -1)
    columns = torch.cat([kept.index, new], dim=1)
    return mask.gather(3, columns[:, None, None, :].expand(-1, mask.shape[1], mask.shape[2], -1))


def _without_invalid(mask: torch.Tensor, valid: torch.Tensor, generated: int) -> torch.Tensor:
    """Mask the columns of invalid slots; in the prefill such a slot attends to itself, so that no row is fully masked
    (NaN).
    """
    invalid = ~torch.cat([valid, valid.new_ones(len(valid), generated)], dim=1)[:, None, None, :]  # (B, 1, 1, K + G)
    mask = mask & ~invalid if mask.dtype == torch.bool else mask.masked_fill(invalid, torch.finfo(mask.dtype).min)
    if generated:
        return mask
    own = torch.eye(valid.shape[1], dtype=torch.bool, device=mask.device) & invalid.transpose(2, 3)  # (B, 1, K, K)
    return mask | own if mask.dtype == torch.bool else mask.masked_fill(own, 0)
