"""Many questions behind one image prefix: each question sees the image and itself, and the image is computed once.

The packed rows go through the model's own decoder layers; only the attention function is replaced, by a named one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AttentionInterface

from crop_core.train.bundled.packing import Look, Pack
from crop_core.train.bundled.token_selection import left_by_pruning

ATTENTION = "crop_tiny_packed"


@dataclass
class Pruning:
    """ILP at layer 1 for many questions at once: the kept tokens are decided in the first layer, by the attention of
    all rows that ask about a scene.

    Each question keeps its own region's tokens first. The image, which the questions share, keeps the tokens of a
    question about all of it.
    """

    left: int
    needed: Tensor  # (B, S, K), each question's region
    asking: Tensor  # (R, 2)
    segment: Tensor  # (B, T)
    image: Tensor | None = None  # (B, 1, 1, prefix), bias of the image's rows: 0 or -inf
    text: Tensor | None = None  # (B, 1, T, prefix), bias of the questions' rows

    @torch.no_grad()
    def decide(self, attention: Tensor, prefix: int) -> None:
        """Decide from the questions' attention (B, H, T, K) in the first layer; prefix: the K tokens and those before
        them.
        """
        batch, _, rows, count = attention.shape
        scene, place = self.asking.T
        asks = torch.zeros(batch, 1, rows, device=attention.device)
        asks[scene, 0, place] = 1.0
        score = (asks @ attention.float().mean(1))[:, 0]
        everything = torch.ones(batch, 1, count, dtype=torch.bool, device=score.device)
        before = prefix - count
        image, text = (left_by_pruning(needed, score, self.left) for needed in (everything, self.needed))
        own = self.segment.clamp(min=0)[..., None].expand(-1, -1, count)
        self.image, self.text = (
            _as_bias(F.pad(seen, (before, 0), value=True))[:, None] for seen in (image, text.gather(1, own))
        )


@dataclass
class Context:
    """Inputs of the packed attention beside q, k and v, and its look losses."""

    prefix: int  # columns before the questions: the prompt's head and the K visual tokens
    first_visual: int
    chunks: int
    barred: Tensor  # (B, 1, C, T / C, T / C), bias of the scores within a chunk: 0 or -inf
    looks: dict[int, Look]  # by layer
    asking: Tensor | None = None  # (R, 2), rows whose attention in the first layer should follow the salience
    worth: Tensor | None = None  # (B, K), their target shares of attention
    pruning: Pruning | None = None  # for the layers after the first
    losses: list[Tensor] = field(default_factory=list)
    salience: Tensor | None = None  # salience loss of the asking rows


def barred(pack: Pack) -> Tensor:
    """(B, 1, C, T / C, T / C) causal bias within each question: 0, else -inf."""
    segment = pack.segment.view(len(pack.segment), 1, pack.chunks, -1)
    width = segment.shape[-1]
    own = (segment[..., :, None] == segment[..., None, :]) & _causal(width, segment.device)
    return _as_bias(own)


def _as_bias(allowed: Tensor) -> Tensor:
    return torch.zeros(allowed.shape, device=allowed.device).masked_fill(~allowed, -math.inf)


def _causal(n: int, device: torch.device) -> Tensor:
    return torch.ones(n, n, dtype=torch.bool, device=device).tril()


def packed_attention(
    module: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scaling: float, **kwargs: Any
) -> tuple:
    """Attention for a packed row; q, k, v (B, H, prefix + T, D); returns (B, prefix + T, H, D).

    Written out: on a CPU in bfloat16 its backward pass takes half the time of the fused kernel's.
    """
    context: Context = kwargs["packing"]
    n, q = context.prefix, q * scaling
    causal = _as_bias(_causal(n, q.device)).to(q.dtype)
    pruned = context.pruning if module.layer_idx else None
    among = q[:, :, :n] @ k[:, :, :n].transpose(2, 3) + causal
    if pruned and pruned.image is not None:
        among = among + pruned.image.to(q.dtype)
    image = among.softmax(-1).to(v.dtype) @ v[:, :, :n]

    def chunked(x: Tensor) -> Tensor:  # (B, H, C, T / C, ...)
        return x.unflatten(2, (context.chunks, -1))

    q_text, own, v_text = q[:, :, n:], chunked(k[:, :, n:]), chunked(v[:, :, n:])
    within = chunked(q_text) @ own.transpose(3, 4) + context.barred.to(q.dtype)
    seen = q_text @ k[:, :, :n].transpose(2, 3)
    if pruned and pruned.text is not None:
        seen = seen + pruned.text.to(q.dtype)
    scores = torch.cat([chunked(seen), within], -1).softmax(-1).to(v.dtype)
    if context.pruning and module.layer_idx == 0:
        context.pruning.decide(scores[..., context.first_visual : n].flatten(2, 3), n)
    text = scores[..., :n].flatten(2, 3) @ v[:, :, :n] + (scores[..., n:] @ v_text).flatten(2, 3)
    look = context.looks.get(module.layer_idx)
    if look is not None and len(look.rows):
        context.losses.append(look_loss(look, q_text[:, :3], k[:, :3, context.first_visual : n]))
    if context.asking is not None and context.worth is not None and module.layer_idx == 0:
        visual = k[:, :3, context.first_visual : n]
        context.salience = salience_loss(context.asking, context.worth, q_text[:, :3], visual)
    return torch.cat([image, text], 2).transpose(1, 2), None


def look_loss(look: Look, q: Tensor, k: Tensor) -> Tensor:
    """Mean -log of the rows' share of visual attention on their target patches; q (B, h, T, D), k (B, h, K, D).

    q is already scaled.
    """
    scene, place = look.rows.T
    scores = (q @ k.transpose(2, 3))[scene, :, place].float()
    inside = scores.masked_fill(~look.patches[:, None], -1e9).logsumexp(-1)
    return (scores.logsumexp(-1) - inside).mean()


def salience_loss(asking: Tensor, worth: Tensor, q: Tensor, k: Tensor) -> Tensor:
    """Mean divergence of the visual attention of the rows `asking` (R, 2) from the shares `worth` (B, K); q and k as
    for `look_loss`."""
    scene, place = asking.T
    shares = (q @ k.transpose(2, 3))[scene, :, place].float().log_softmax(-1)  # (R, h, K)
    return F.kl_div(shares, worth[scene, None].expand_as(shares), reduction="none").sum(-1).mean()


def read(
    language: Any, prefix: Sequence[int], visual: Tensor, places: Tensor, image: int, pack: Pack, context: Context
) -> Tensor:
    """The language model's last hidden states of the questions' columns (B, T, d).

    prefix: ids of the prompt's head. visual: (B, K, d) tokens at places (B, K) among the `image` ones of the image;
    the questions' positions follow all of those.
    """
    batch, device = len(visual), visual.device
    head = language.embed_tokens(torch.tensor(prefix, device=device)).expand(batch, -1, -1)
    inputs = torch.cat([head.to(visual.dtype), visual, language.embed_tokens(pack.ids).to(visual.dtype)], 1)
    first = len(prefix)
    start = torch.arange(first, device=device).expand(batch, -1)
    positions = torch.cat([start, first + places, first + image + pack.position], 1)
    unused = torch.zeros(1, 1, 1, 1, device=device)  # a placeholder mask: the packed attention has its own
    output = language(
        inputs_embeds=inputs, attention_mask=unused, position_ids=positions, use_cache=False, packing=context
    )
    return output.last_hidden_state[:, context.prefix :]


def register() -> None:
    """Register the packed attention with transformers as `ATTENTION`."""
    AttentionInterface.register(ATTENTION, packed_attention)
