"""From a plan to arguments of generate(): a shorter run of image placeholders, pooled features, positions as they were.

Works through `mm_encoder_outputs` (transformers 5.18 and later): sampling, streaming and hooks stay the model's own.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from crop_core.compress.protocol import CompressionError, CompressionPlan

if TYPE_CHECKING:
    from crop_core.models.protocol import PreparedInputs


@dataclass(frozen=True, eq=False)
class CompressedInputs:
    """Prompts (B, L') whose visual tokens are those of a plan, left-padded.

    input_ids, attention_mask: (B, L') long. visual: (B, L') bool, the M visual tokens of each sample.
    position_ids: (B, L') long, or float32 where a pooled token lies between two; (4, B, L') for positions in the image.
    tokens: what else the model must know of every prompt token, (B, L').
    encoded: the vision output, with nothing but the features of the M tokens.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    visual: torch.Tensor
    position_ids: torch.Tensor
    tokens: dict[str, torch.Tensor]
    encoded: Any

    @property
    def kwargs(self) -> dict[str, Any]:
        """Arguments for one model.generate or forward, made anew each time: generate changes what it is given."""
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

    encoded: vision output, pooler_output (N, D) per sample. A pooled token takes the mean of its members' features and
    of their positions, and its anchor's place in the order; the text keeps its positions, so that decoding goes on from
    the uncompressed length. Raises CompressionError when a plan is not about the N tokens of its sample.
    """
    _check(plans, prepared.visual, encoded.pooler_output)
    weights = [torch.from_numpy(plan.weights).to(prepared.visual.device) for plan in plans]  # (M, N) float64 each
    if prepared.positions is None:
        positions = _counted(prepared.attention_mask)[None]  # (1, B, L)
    else:
        positions = prepared.positions  # (4, B, L)
    keep, moved = [], []
    for sample, plan in enumerate(plans):
        columns = prepared.visual[sample].nonzero()[:, 0]  # (N,)
        anchors = columns[torch.from_numpy(plan.anchors).to(columns.device)]  # (M,)
        keep.append(prepared.attention_mask[sample].bool() & ~prepared.visual[sample])
        keep[-1][anchors] = True
        moved.append(positions[:, sample].double())
        moved[-1][:, anchors] = moved[-1][:, columns] @ weights[sample].mT

    def narrowed(rows: Sequence[torch.Tensor], fill: float = 0) -> torch.Tensor:
        return _left_padded([row[..., kept] for row, kept in zip(rows, keep, strict=True)], fill)

    mask = narrowed(list(prepared.attention_mask))
    place = narrowed(moved).transpose(0, 1)  # (1 or 4, B, L')
    if prepared.positions is not None:
        place[0] = _counted(mask)  # gaps in the count would be taken for several sequences in one row
    return CompressedInputs(
        narrowed(list(prepared.input_ids), model.generation_config.pad_token_id or 0),
        mask,
        narrowed(list(prepared.visual)),
        _whole(place if prepared.positions is not None else place[0]),
        {name: narrowed(list(each)) for name, each in prepared.tokens.items()},
        _pooled_output(encoded, weights),
    )


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


def _pooled_output(encoded: Any, weights: Sequence[torch.Tensor]) -> Any:
    """The vision output with M tokens per sample instead of N, in the form that the model wants: a list or one tensor.

    Qwen3-VL's deepstack_features are more features of the same tokens, by level.
    """
    output = type(encoded)(pooler_output=_pooled(weights, encoded.pooler_output))
    if torch.is_tensor(encoded.pooler_output):
        output.pooler_output = torch.cat(output.pooler_output)[None]  # (1, M of all samples, D)
    levels = getattr(encoded, "deepstack_features", None)
    if levels is not None:
        output.deepstack_features = [_pooled(weights, level) for level in levels]
    return output


def _pooled(weights: Sequence[torch.Tensor], features: Any) -> list[torch.Tensor]:
    """(M, N) weights of (N, D) features, sample by sample, summed in float32."""
    return [
        (weight.to(each.device, torch.float32) @ each.float()).to(each.dtype)
        for weight, each in zip(weights, features, strict=True)
    ]


def _left_padded(rows: Sequence[torch.Tensor], fill: float) -> torch.Tensor:
    """(..., L_b) rows -> (B, ..., longest), filled on the left."""
    longest = max(row.shape[-1] for row in rows)
    return torch.stack([F.pad(row, (longest - row.shape[-1], 0), value=fill) for row in rows])


def _whole(positions: torch.Tensor) -> torch.Tensor:
    """Positions as integers where all are, else as float32, which the rotary tables take as they are."""
    whole = positions.round()
    return whole.long() if bool((whole - positions).abs().max() < 1e-9) else positions.float()
