"""From the full prompt to the tokens that are left: columns, masks and rotary tables. Pure functions of tensors.

P is the prompt's length, K the slots left of it, G the tokens generated since, Q the tokens in this forward. Shapes
follow from what the host knows: nothing here waits for the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F


@dataclass(frozen=True, eq=False)
class PromptBatch:
    """A batch of B prompts of P columns, read on the host once, before the model runs.

    visual, text: per sample its columns (M,) and (P - M,) long. behind: per sample how many columns follow its last
    visual one.
    """

    visual: list[torch.Tensor]
    text: list[torch.Tensor]
    length: int
    behind: list[int]

    @classmethod
    def of(cls, visual: torch.Tensor) -> PromptBatch:
        """From (B, P) bool, True on visual tokens; raises ValueError when a prompt has none."""
        here, device = visual.cpu(), visual.device
        if not bool(here.any(1).all()):
            raise ValueError("a prompt without visual tokens")
        own, text = ([row.nonzero()[:, 0].to(device) for row in rows] for rows in (here, ~here))
        return cls(own, text, here.shape[1], here.flip(1).int().argmax(1).tolist())

    @property
    def after(self) -> int:
        """Columns behind the last visual one, the least of the batch."""
        return min(self.behind)

    @property
    def total(self) -> list[int]:
        """M of every sample."""
        return [len(columns) for columns in self.visual]

    def to(self, device: torch.device) -> PromptBatch:
        """The same with its columns on another device; itself on its own."""
        if self.visual[0].device == device:
            return self
        visual, text = ([each.to(device) for each in columns] for columns in (self.visual, self.text))
        return PromptBatch(visual, text, self.length, self.behind)

    def all(self) -> KeptTokens:
        """Nothing pruned yet."""
        every = torch.arange(self.length, device=self.visual[0].device)
        return KeptTokens(every.expand(len(self.visual), -1), None, self.length)

    def keeping(self, kept: Sequence[torch.Tensor]) -> KeptTokens:
        """The text and, per sample, the visual tokens `kept` (K,), indices into its M; shorter samples are filled up on
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
    """What is left of a batch of prompts, in the prompt's order.

    index: (B, K) long, columns of the prompt. valid: (B, K) bool, or None where all are: samples that keep fewer tokens
    are filled up on the left with slots that nothing may attend to. prompt: P.
    """

    index: torch.Tensor
    valid: torch.Tensor | None
    prompt: int

    def spread(self, values: torch.Tensor, missing: float) -> torch.Tensor:
        """(B, ..., K) values of the slots as (B, ..., P) values of the prompt's columns."""
        index = self.index if self.valid is None else self.index.masked_fill(~self.valid, self.prompt)
        index = index.view(len(index), *[1] * (values.dim() - 2), -1).expand_as(values)
        full = values.new_full((*values.shape[:-1], self.prompt + 1), missing)  # the last column takes what fills up
        return full.scatter_(-1, index, values)[..., :-1]

    def slots_of(self, later: KeptTokens) -> torch.Tensor:
        """(B, K') the slots here of what is left later on; any slot for those that fill up."""
        slots = torch.arange(self.index.shape[1], device=self.index.device).expand_as(self.index)
        return self.spread(slots, 0).gather(1, later.index)

    def to(self, device: torch.device) -> KeptTokens:
        """The same on another device; itself on its own."""
        if self.index.device == device:
            return self
        return KeptTokens(self.index.to(device), None if self.valid is None else self.valid.to(device), self.prompt)


def narrow_rope(rope: tuple[torch.Tensor, torch.Tensor], kept: KeptTokens) -> tuple[torch.Tensor, ...]:
    """Rows of the prompt's cos and sin tables (1 or B, P, head_dim) that are left: (B, K, head_dim). Positions do not
    change.
    """
    rows = kept.to(rope[0].device).index[..., None]
    return tuple(part.expand(rows.shape[0], -1, -1).gather(1, rows.expand(-1, -1, part.shape[-1])) for part in rope)


def narrow_mask(mask: torch.Tensor | None, kept: KeptTokens, queries: int, generated: int) -> torch.Tensor | None:
    """The attention mask of a forward over what is left.

    mask: (1 or B, 1, Q, P + G) bool (True = may attend) or additive float, or None for plain causal. queries: rows of
    the result: K in the prefill (generated 0), else the Q new tokens, which are the last of the G. Returns (B, 1, rows,
    K + G), or None where plain causal still says it all.
    """
    if mask is None and kept.valid is None:
        return None
    batch, slots = kept.index.shape
    if mask is None:
        narrowed = _causal(queries, slots + generated, kept.index.device).expand(batch, 1, -1, -1)
    else:
        kept = kept.to(mask.device)
        narrowed = _gathered(mask.expand(batch, -1, -1, -1), kept, generated)
    return narrowed if kept.valid is None else _closed(narrowed, kept.valid, generated)


def narrow_padding(mask: torch.Tensor | None, kept: KeptTokens, generated: int) -> torch.Tensor | None:
    """The mask of an attention that is causal by itself and is told of padding alone, such as FlashAttention's.

    mask: (B, P + G) bool or integer (true = a token), or None without padding. Returns (B, K + G) bool, or None where
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
    """(B, K) bool: which of the slots left may be attended to by tokens to come, None for all; mask: as in
    `narrow_mask`, of the prefill, whose last row sees all but padding, or as in `narrow_padding`.
    """
    if mask is None or mask.dim() == 2:
        return narrow_padding(mask, kept, 0)
    kept = kept.to(mask.device)
    last = mask[:, 0, -1]  # (1 or B, P)
    seen = (last if last.dtype == torch.bool else last >= 0).expand(len(kept.index), -1).gather(1, kept.index)
    return seen if kept.valid is None else seen & kept.valid


def later_mask(mask: torch.Tensor | None, seen: torch.Tensor | None, queries: int, generated: int) -> Any:
    """The mask of a decode step on a cache of which every layer holds the same K slots and G new tokens.

    mask: what the model made for that length, whose columns of the prompt mean nothing, for its kind alone. seen: (B,
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
    """The same for an attention that is told of padding alone: (B, K + G) bool, None for all."""
    return None if seen is None else torch.cat([seen, seen.new_ones(len(seen), generated)], dim=1)


def _causal(queries: int, keys: int, device: torch.device) -> torch.Tensor:
    column = torch.arange(keys, device=device)
    return (column <= column[keys - queries :, None])[None, None]


def _gathered(mask: torch.Tensor, kept: KeptTokens, generated: int) -> torch.Tensor:
    """(B, 1, Q, P + G) -> (B, 1, rows, K + G): in the prefill rows are taken out as well as columns."""
    if not generated:
        mask = mask.gather(2, kept.index[:, None, :, None].expand(-1, mask.shape[1], -1, mask.shape[-1]))
    new = torch.arange(kept.prompt, kept.prompt + generated, device=mask.device).expand(len(mask), -1)
    columns = torch.cat([kept.index, new], dim=1)
    return mask.gather(3, columns[:, None, None, :].expand(-1, mask.shape[1], mask.shape[2], -1))


def _closed(mask: torch.Tensor, valid: torch.Tensor, generated: int) -> torch.Tensor:
    """Close the columns of invalid slots; in the prefill such a slot still sees itself, so that no row is all closed
    (NaN).
    """
    closed = ~torch.cat([valid, valid.new_ones(len(valid), generated)], dim=1)[:, None, None, :]  # (B, 1, 1, K + G)
    mask = mask & ~closed if mask.dtype == torch.bool else mask.masked_fill(closed, torch.finfo(mask.dtype).min)
    if generated:
        return mask
    own = torch.eye(valid.shape[1], dtype=torch.bool, device=mask.device) & closed.transpose(2, 3)  # (B, 1, K, K)
    return mask | own if mask.dtype == torch.bool else mask.masked_fill(own, 0)
