"""From the full prompt to the tokens that are left: masks and rotary tables. Pure functions of tensors.

P is the prompt's length, K the slots left of it, G the tokens generated since, Q the tokens in this forward.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False)
class Kept:
    """What is left of a batch of prompts, in the prompt's order.

    index: (B, K) long, columns of the prompt. valid: (B, K) bool, or None where all are: samples that keep fewer tokens
    are filled up on the left with slots that nothing may attend to. prompt: P.
    """

    index: torch.Tensor
    valid: torch.Tensor | None
    prompt: int

    @classmethod
    def all_of(cls, prompts: torch.Tensor) -> Kept:
        """Every column of prompts shaped (B, P): nothing pruned yet."""
        batch, prompt = prompts.shape
        return cls(torch.arange(prompt, device=prompts.device).expand(batch, -1), None, prompt)

    def on(self, device: torch.device) -> Kept:
        """The same on another device, where a mask or table of layers that lie elsewhere is."""
        if device == self.index.device:
            return self
        return Kept(self.index.to(device), None if self.valid is None else self.valid.to(device), self.prompt)

    def narrowed(self, keep: torch.Tensor) -> tuple[Kept, torch.Tensor]:
        """From (B, K) bool over the present slots: what is left, and (B, K') the present slots it comes from."""
        slots = int(keep.sum(1).max())
        order = torch.argsort(keep.int(), dim=1, stable=True)[:, keep.shape[1] - slots :]  # gone first, both in order
        valid = keep.gather(1, order)
        return Kept(self.index.gather(1, order), None if bool(valid.all()) else valid, self.prompt), order


def narrow_rope(rope: tuple[torch.Tensor, torch.Tensor], kept: Kept) -> tuple[torch.Tensor, ...]:
    """Rows of the prompt's cos and sin tables (1 or B, P, head_dim) that are left: (B, K, head_dim). Positions do not
    change.
    """
    rows = kept.on(rope[0].device).index[..., None]
    return tuple(part.expand(rows.shape[0], -1, -1).gather(1, rows.expand(-1, -1, part.shape[-1])) for part in rope)


def narrow_padding(mask: torch.Tensor | None, kept: Kept, generated: int) -> torch.Tensor | None:
    """The mask of an attention that is causal by itself and is told of padding alone, such as FlashAttention's.

    mask: (B, P + G) bool or integer (true = a token), or None without padding. Returns (B, K + G) bool, or None where
    every slot is a token.
    """
    if mask is None and kept.valid is None:
        return None
    kept = kept if mask is None else kept.on(mask.device)
    valid = torch.ones_like(kept.index, dtype=torch.bool) if kept.valid is None else kept.valid
    new = valid.new_ones(len(valid), generated)
    if mask is not None:
        valid, new = valid & mask.bool().gather(1, kept.index), mask[:, kept.prompt :].bool()
    return torch.cat([valid, new], dim=1)


def narrow_mask(mask: torch.Tensor | None, kept: Kept, queries: int, generated: int) -> torch.Tensor | None:
    """The attention mask of a forward over what is left.

    mask: (1 or B, 1, Q, P + G) bool (True = may attend) or additive float, or None for plain causal. queries: rows of
    the
    result: K in the prefill (generated 0), else the Q new tokens, which are the last of the G. Returns (B, 1, rows, K +
    G), or None where plain causal still says it all.
    """
    if mask is None and kept.valid is None:
        return None
    batch, slots = kept.index.shape
    if mask is None:
        narrowed = _causal(queries, slots + generated, kept.index.device).expand(batch, 1, -1, -1)
    else:
        kept = kept.on(mask.device)
        narrowed = _gathered(mask.expand(batch, -1, -1, -1), kept, generated)
    return narrowed if kept.valid is None else _closed(narrowed, kept.valid, generated)


def _causal(queries: int, keys: int, device: torch.device) -> torch.Tensor:
    column = torch.arange(keys, device=device)
    return (column <= column[keys - queries :, None])[None, None]


def _gathered(mask: torch.Tensor, kept: Kept, generated: int) -> torch.Tensor:
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
