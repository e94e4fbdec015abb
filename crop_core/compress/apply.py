"""From a plan to arguments of generate(): a shorter run of image placeholders, pooled features, positions as they were.

Works through `mm_encoder_outputs` (transformers 5.18 and later): sampling, streaming and hooks stay the model's own.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from crop_core.compress.protocol import CompressionError, CompressionPlan


@dataclass(frozen=True, eq=False)
class CompressedInputs:
    """Prompts (B, L') whose visual tokens are those of a plan, left-padded.

    input_ids, attention_mask: (B, L') long. visual: (B, L') bool, the M visual tokens of each sample.
    position_ids: (B, L') long, or float32 where a pooled token lies between two; (4, B, L') for positions in the image.
    encoded: the vision output, with nothing but its pooler_output, a list of (M, D) per sample, and such lists for every
        level of its deepstack_features, where it has them.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    visual: torch.Tensor
    position_ids: torch.Tensor
    encoded: Any

    @property
    def kwargs(self) -> dict[str, Any]:
        """Arguments for one model.generate or forward, made anew each time: generate changes what it is given."""
        return {
            "input_ids": self.input_ids,
            "attention_mask": self.attention_mask,
            "position_ids": self.position_ids,
            "mm_encoder_outputs": {"image": copy.copy(self.encoded)},
        }


@torch.no_grad()
def compress_inputs(
    model: Any,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    visual: torch.Tensor,
    encoded: Any,
    plans: Sequence[CompressionPlan],
    positions: torch.Tensor | None = None,
) -> CompressedInputs:
    """Prompts (B, L) with N visual tokens each -> prompts with the M tokens of each sample's plan.

    visual: (B, L) bool. encoded: vision output, pooler_output (N, D) per sample. positions: (4, B, L), the first a plain
    count, None where there is nothing but this count. A pooled token takes the mean of its
    members' features and of their positions, and its anchor's place in the order; the text keeps its positions, so that
    decoding goes on from the uncompressed length. Raises CompressionError when a plan is not about the N tokens of its
    sample.
    """
    pad = model.generation_config.pad_token_id or 0
    count = _counted(attention_mask)
    places = count[None] if positions is None else positions  # (1 or 4, B, L)
    rows, features, weighted = [], [], []
    for plan, ids, mask, chosen, place, tokens in zip(
        plans, input_ids, attention_mask, visual, places.transpose(0, 1), encoded.pooler_output, strict=True
    ):
        _check(plan, int(chosen.sum()), len(tokens))
        weights = torch.from_numpy(plan.weights).to(tokens.device)  # (M, N) float64
        weighted.append(weights)
        features.append(_pooled(weights, tokens))
        rows.append(_row(plan, weights, ids, mask, chosen, place))
    stacked = [_left_padded([row[part] for row in rows], fill) for part, fill in enumerate((pad, 0, False, 0.0))]
    ids, mask, chosen, place = stacked
    place = place.transpose(0, 1)  # (1 or 4, B, L')
    if positions is None:
        place = place[0]
    else:  # gaps in the count would be taken for several sequences in one row
        place[0] = _counted(mask)
    deep = getattr(encoded, "deepstack_features", None)  # Qwen3-VL: more features of the same tokens, by level
    if deep is None:
        return CompressedInputs(ids, mask, chosen, _whole(place), type(encoded)(pooler_output=features))
    levels = [[_pooled(*pair) for pair in zip(weighted, level, strict=True)] for level in deep]
    return CompressedInputs(
        ids, mask, chosen, _whole(place), type(encoded)(pooler_output=features, deepstack_features=levels)
    )


def _pooled(weights: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """(M, N) weights of (N, D) features, summed in float32."""
    return (weights.to(torch.float32) @ tokens.float()).to(tokens.dtype)


def _counted(attention_mask: torch.Tensor) -> torch.Tensor:
    """(B, L) positions by generate()'s own rule."""
    return (attention_mask.cumsum(-1) - 1).masked_fill(attention_mask == 0, 0)


def _check(plan: CompressionPlan, placeholders: int, features: int) -> None:
    if not len(plan.group) == placeholders == features:
        raise CompressionError(
            f"The plan is about {len(plan.group)} visual tokens, but the prompt has {placeholders} placeholders "
            f"and the image {features} features."
        )


def _row(
    plan: CompressionPlan,
    weights: torch.Tensor,
    ids: torch.Tensor,
    mask: torch.Tensor,
    visual: torch.Tensor,
    place: torch.Tensor,
) -> tuple[torch.Tensor, ...]:
    """One prompt (L,) without padding and with M visual tokens: ids, mask, visual, float64 positions.

    place: (1 or 4, L), and so many are the positions.
    """
    columns = visual.nonzero()[:, 0]  # (N,)
    anchors = columns[torch.from_numpy(plan.anchors).to(columns.device)]  # (M,)
    moved = place.double().clone()
    moved[:, anchors] = place[:, columns].double() @ weights.mT
    keep = mask.bool() & ~visual
    keep[anchors] = True
    return ids[keep], mask[keep], visual[keep], moved[:, keep]


def _left_padded(rows: list[torch.Tensor], fill: float) -> torch.Tensor:
    """(..., L_b) rows -> (B, ..., longest), filled on the left."""
    longest = max(row.shape[-1] for row in rows)
    return torch.stack([F.pad(row, (longest - row.shape[-1], 0), value=fill) for row in rows])


def _whole(positions: torch.Tensor) -> torch.Tensor:
    """Positions as integers where all are, else as float32, which the rotary tables take as they are."""
    whole = positions.round()
    return whole.long() if bool((whole - positions).abs().max() < 1e-9) else positions.float()
