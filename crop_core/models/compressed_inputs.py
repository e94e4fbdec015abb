"""Arguments of generate() from a compression plan: fewer image placeholders, pooled features, original positions.

Works through `mm_encoder_outputs` (transformers 5.18 and later): sampling, streaming and hooks are the model's own.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from crop_core.records.compression_plan import CompressionError, CompressionPlan

if TYPE_CHECKING:
    from crop_core.models.adapter import PreparedInputs


@dataclass(frozen=True, eq=False)
class CompressedInputs:
    """Prompts (B, L') whose visual tokens are those of a plan, left-padded.

    input_ids, attention_mask: (B, L') long. visual: (B, L') bool, the M visual tokens of each sample.
    position_ids: (B, L') long, or float32 where a pooled token lies between two; (4, B, L') for positions in the image.
    tokens: further inputs per prompt token, (B, L').
    encoded: the vision output with only the features of the M tokens.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    visual: torch.Tensor
    position_ids: torch.Tensor
    tokens: dict[str, torch.Tensor]
    encoded: Any

    @property
    def kwargs(self) -> dict[str, Any]:
        """Arguments for one model.generate or forward; a new dict each time, since generate modifies it."""
        return {
            "input_ids": self.input_ids,
            "attention_mask": self.attention_mask,
            "position_ids": self.position_ids,
            "mm_encoder_outputs": {"image": copy.copy(self.encoded)},
            **self.tokens,
        }


@torch.no_grad()
def compress_inputs(
    model: Any, prepared: PreparedInputs, encoded: Any, plans: Sequence[CompressionPlan]
) -> CompressedInputs:
    """Prompts (B, L) with N visual tokens each -> prompts with the M tokens of each sample's plan.

    encoded: vision output, pooler_output (N, D) per sample. A pooled token takes the mean of its members' features, or
    the plan's own features, the mean of their positions, and its anchor's place in the prompt; the text keeps its
    positions, so that decoding goes on from the uncompressed length. Raises CompressionError when a plan is not about
    the N tokens of its sample.
    """
    visual, attended = prepared.visual.cpu(), prepared.attention_mask.cpu()
    _check(plans, visual, encoded.pooler_output)
    positions = _counted(attended)[None] if prepared.positions is None else prepared.positions.cpu()  # (1 or 4, B, L)
    bags = [_Bags.of(plan) for plan in plans]
    samples = zip(plans, bags, visual, attended, positions.unbind(1), strict=True)
    kept, moved = zip(*(_compressed(*sample) for sample in samples), strict=True)
    index = _left_padded(kept, 0)  # (B, L') columns of the prompt
    mask = _left_padded([row[columns] for row, columns in zip(attended, kept, strict=True)], 0)
    position_ids = _left_padded(moved, 0).transpose(0, 1)  # (1 or 4, B, L')

    def narrowed(rows: torch.Tensor, fill: int = 0) -> torch.Tensor:
        return rows.gather(1, index.to(rows.device)).masked_fill(mask.to(rows.device) == 0, fill)

    if prepared.positions is not None:
        position_ids[0] = _counted(mask)  # gaps would be read as several packed sequences
    device = prepared.input_ids.device
    return CompressedInputs(
        narrowed(prepared.input_ids, model.generation_config.pad_token_id or 0),
        mask.to(device),
        narrowed(visual).to(device),
        _as_integers(position_ids if prepared.positions is not None else position_ids[0]).to(device),
        {name: narrowed(each) for name, each in prepared.tokens.items()},
        _pooled_output(encoded, plans, bags),
    )


def _compressed(
    plan: CompressionPlan, bags: _Bags, visual: torch.Tensor, attended: torch.Tensor, positions: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns (L',) that a plan keeps of one prompt of (L,) visual tokens and mask, and their (1 or 4, L') float64
    positions.
    """
    columns = visual.nonzero()[:, 0]  # (N,)
    anchors = columns[torch.from_numpy(plan.anchors)]  # (M,)
    stays, moved = attended.bool() & ~visual, positions.double()
    stays[anchors] = True
    moved[:, anchors] = bags.means(moved[:, columns].mT).mT
    return stays.nonzero()[:, 0], moved[:, stays]


@dataclass(frozen=True, eq=False)
class _Bags:
    """The members of every input token of a plan, one after the other. members: (N',) long. starts: (M,) long."""

    members: torch.Tensor
    starts: torch.Tensor

    @classmethod
    def of(cls, plan: CompressionPlan) -> _Bags:
        """On the host."""
        order = np.argsort(plan.group, kind="stable")
        members = order[np.count_nonzero(plan.group < 0) :]  # those that are dropped come first
        return cls(torch.from_numpy(members), torch.from_numpy(np.searchsorted(plan.group[members], range(plan.count))))

    def means(self, rows: torch.Tensor) -> torch.Tensor:
        """(M, D) means of the members' rows (N, D), on their device and in their dtype; summed in float32, float64 rows
        in float64.
        """
        members, starts = self.members.to(rows.device), self.starts.to(rows.device)
        wide = rows if rows.dtype == torch.float64 else rows.float()
        return F.embedding_bag(members, wide, starts, mode="mean").to(rows.dtype)


def _check(plans: Sequence[CompressionPlan], visual: torch.Tensor, features: Any) -> None:
    for plan, chosen, tokens in zip(plans, visual, features, strict=True):
        if not len(plan.group) == int(chosen.sum()) == len(tokens):
            raise CompressionError(
                f"The plan is about {len(plan.group)} visual tokens, but the prompt has {int(chosen.sum())} "
                f"placeholders and the image {len(tokens)} features."
            )


def _counted(attention_mask: torch.Tensor) -> torch.Tensor:
    """(B, L) positions by generate()'s own rule."""
    return (attention_mask.cumsum(-1) - 1).masked_fill(attention_mask == 0, 0)


def _pooled_output(encoded: Any, plans: Sequence[CompressionPlan], bags: Sequence[_Bags]) -> Any:
    """The vision output with M tokens per sample instead of N, in the form that the model takes: a list or a tensor.

    Qwen3-VL's deepstack_features are more features of the same tokens, by level, and always averaged.
    """
    pooled = [
        torch.cat(plan.features) if plan.features else own.means(each)
        for plan, own, each in zip(plans, bags, encoded.pooler_output, strict=True)
    ]
    output = type(encoded)(pooler_output=pooled)
    if torch.is_tensor(encoded.pooler_output):
        output.pooler_output = torch.cat(pooled)[None]  # (1, M of all samples, D)
    levels = getattr(encoded, "deepstack_features", None)
    if levels is not None:
        output.deepstack_features = [
            [own.means(each) for own, each in zip(bags, level, strict=True)] for level in levels
        ]
    return output


def _left_padded(rows: Sequence[torch.Tensor], fill: float) -> torch.Tensor:
    """(..., L_b) rows -> (B, ..., max length), padded on the left."""
    length = max(row.shape[-1] for row in rows)
    return torch.stack([F.pad(row, (length - row.shape[-1], 0), value=fill) for row in rows])


def _as_integers(positions: torch.Tensor) -> torch.Tensor:
    """Positions as integers where all are, else as float32, which the rotary tables take as they are."""
    whole = positions.round()
    return whole.long() if bool((whole - positions).abs().max() < 1e-9) else positions.float()
